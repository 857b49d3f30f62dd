// The checksum of zip archives and of our record files.
#ifndef CMERC_BYTES_CRC32_H_
#define CMERC_BYTES_CRC32_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace cmerc {

// Returns the CRC-32 of zip and gzip of `bytes`. For data in pieces, `before` is the checksum of
// the pieces in front of this one.
uint32_t Crc32(absl::string_view bytes, uint32_t before = 0);

}  // namespace cmerc

#endif  // CMERC_BYTES_CRC32_H_
