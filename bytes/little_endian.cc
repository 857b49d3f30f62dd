#include "bytes/little_endian.h"

namespace cmerc {

void AppendLittleEndian(uint64_t value, int size, std::string* out) {
  for (int i = 0; i < size; ++i) out->push_back(static_cast<char>(value >> 8 * i));
}

uint64_t ReadLittleEndian(absl::string_view bytes, size_t position, int size) {
  uint64_t value = 0;
  for (int i = size - 1; i >= 0; --i) {
    value = value << 8 | static_cast<uint8_t>(bytes[position + i]);
  }
  return value;
}

}  // namespace cmerc
