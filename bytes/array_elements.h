// Elements of arrays as NumPy has them in files, converted and in C order.
#ifndef CMERC_BYTES_ARRAY_ELEMENTS_H_
#define CMERC_BYTES_ARRAY_ELEMENTS_H_

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "absl/types/span.h"

namespace cmerc {

// The elements of one array and how they lie.
struct ArrayElements {
  char kind;          // NumPy's: b bool, i int, u unsigned, f float
  int64_t item_size;  // bytes per element
  bool big_endian;
  bool fortran_order;  // the first axis varies fastest
  absl::Span<const int64_t> shape;
  const char* data;  // item_size bytes per element; not aligned
};

// Converts a number as NumPy's astype does; returns false where an int64_t cannot hold it.
template <typename From, typename To>
bool ConvertNumber(From from, To* to) {
  if constexpr (std::is_same_v<To, int64_t> && !std::is_integral_v<From>) {
    const auto real = static_cast<double>(from);
    if (!(real >= -0x1p63 && real < 0x1p63) || real != std::trunc(real)) return false;
    *to = static_cast<int64_t>(real);
    return true;
  } else {
    *to = static_cast<To>(from);
    return !std::is_same_v<To, int64_t> || !std::is_same_v<From, uint64_t> || *to >= 0;
  }
}

// Whether CopyElements() reads elements of this kind and size: bool, integers of 1 to 8 bytes,
// floats of 2, 4 and 8.
bool IsReadableElement(char kind, int64_t item_size);

// Writes the elements, of a kind and size that are readable, to `to`, which has room for all of
// them, in C order. T is float, double or int64_t. Returns false where T is int64_t and an element
// is no integer of 64 bits; the others are written all the same.
template <typename T>
bool CopyElements(const ArrayElements& from, T* to);

}  // namespace cmerc

#endif  // CMERC_BYTES_ARRAY_ELEMENTS_H_
