// Numbers in binary files, the lowest byte first.
#ifndef CMERC_BYTES_LITTLE_ENDIAN_H_
#define CMERC_BYTES_LITTLE_ENDIAN_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace cmerc {

// Appends the `size` lowest bytes of `value`; size is at most 8.
void AppendLittleEndian(uint64_t value, int size, std::string* out);

// Returns the number of `size` bytes, at most 8, at `position` of `bytes`, which holds all of them.
uint64_t ReadLittleEndian(absl::string_view bytes, size_t position, int size);

}  // namespace cmerc

#endif  // CMERC_BYTES_LITTLE_ENDIAN_H_
