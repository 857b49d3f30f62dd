// The checksum of TensorFlow's record files.
#ifndef CMERC_TENSORBOARD_CRC32C_H_
#define CMERC_TENSORBOARD_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace cmerc {

// CRC-32C (Castagnoli), RFC 3720 section 12.1 and appendix B.4.
uint32_t Crc32c(absl::string_view data);

// As record files store it, rotated and shifted: a checksum of data that holds checksums would be
// a weak one.
uint32_t MaskedCrc32c(absl::string_view data);

}  // namespace cmerc

#endif  // CMERC_TENSORBOARD_CRC32C_H_
