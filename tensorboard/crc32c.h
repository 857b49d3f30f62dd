// The checksum of TensorFlow's record files.
#ifndef CMERC_TENSORBOARD_CRC32C_H_
#define CMERC_TENSORBOARD_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace cmerc {

// The CRC-32C (Castagnoli) of `data`, as in RFC 3720, section 12.1 and appendix B.4.
uint32_t Crc32c(absl::string_view data);

// The CRC-32C of `data` as record files store it, rotated and shifted: the plain checksum of data
// that holds checksums would be a weak one.
uint32_t MaskedCrc32c(absl::string_view data);

}  // namespace cmerc

#endif  // CMERC_TENSORBOARD_CRC32C_H_
