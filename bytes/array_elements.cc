#include "bytes/array_elements.h"

#include <cstddef>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace cmerc {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are read as little-endian");

// IEEE 754 binary16, in the file's bits.
struct Half {
  uint16_t bits;

  explicit operator float() const {
    const int exponent = bits >> 10 & 0x1F;
    const int fraction = bits & 0x3FF;
    float magnitude;
    if (exponent == 0) {
      magnitude = std::ldexp(static_cast<float>(fraction), -24);
    } else if (exponent == 0x1F) {
      magnitude = fraction == 0 ? std::numeric_limits<float>::infinity()
                                : std::numeric_limits<float>::quiet_NaN();
    } else {
      magnitude = std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
    }
    return bits >> 15 != 0 ? -magnitude : magnitude;
  }
  explicit operator double() const { return static_cast<float>(*this); }
};

template <typename T>
T Load(const char* at, bool swap) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, at, sizeof(T));
  if (swap) {
    for (size_t i = 0; i < sizeof(T) / 2; ++i) std::swap(bytes[i], bytes[sizeof(T) - 1 - i]);
  }
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

template <typename From, typename To>
bool CopyRun(const char* from, int64_t stride, int64_t n, bool swap, To* to) {
  if (std::is_same_v<From, To> && !swap && stride == sizeof(From)) {
    if (n > 0) std::memcpy(to, from, n * sizeof(From));
    return true;
  }
  bool good = true;
  if (swap) {
    for (int64_t i = 0; i < n; ++i) {
      good &= ConvertNumber(Load<From>(from + i * stride, true), to + i);
    }
  } else {
    for (int64_t i = 0; i < n; ++i) {
      good &= ConvertNumber(Load<From>(from + i * stride, false), to + i);
    }
  }
  return good;
}

template <typename From, typename To>
bool CopyArray(const ArrayElements& array, To* to) {
  const absl::Span<const int64_t> shape = array.shape;
  const bool swap = array.big_endian && sizeof(From) > 1;
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  if (!array.fortran_order || shape.size() < 2) {
    return CopyRun<From>(array.data, sizeof(From), count, swap, to);
  }
  if (count == 0) return true;
  // Runs along the last axis, whose elements lie furthest apart; `index` counts the other axes.
  std::vector<int64_t> index(shape.size() - 1, 0), strides(shape.size());
  int64_t stride = sizeof(From);
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  bool good = true;
  const char* from = array.data;
  for (const To* const end = to + count; to != end; to += shape.back()) {
    good &= CopyRun<From>(from, strides.back(), shape.back(), swap, to);
    for (size_t axis = index.size(); axis-- > 0;) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
  return good;
}

}  // namespace

bool IsReadableElement(char kind, int64_t item_size) {
  switch (kind) {
    case 'b':
      return item_size == 1;
    case 'i':
    case 'u':
      return item_size == 1 || item_size == 2 || item_size == 4 || item_size == 8;
    case 'f':
      return item_size == 2 || item_size == 4 || item_size == 8;
    default:
      return false;
  }
}

template <typename T>
bool CopyElements(const ArrayElements& from, T* to) {
  switch (from.kind << 4 | from.item_size) {
    case 'f' << 4 | 2:
      return CopyArray<Half>(from, to);
    case 'f' << 4 | 4:
      return CopyArray<float>(from, to);
    case 'f' << 4 | 8:
      return CopyArray<double>(from, to);
    case 'i' << 4 | 1:
      return CopyArray<int8_t>(from, to);
    case 'i' << 4 | 2:
      return CopyArray<int16_t>(from, to);
    case 'i' << 4 | 4:
      return CopyArray<int32_t>(from, to);
    case 'i' << 4 | 8:
      return CopyArray<int64_t>(from, to);
    case 'b' << 4 | 1:
    case 'u' << 4 | 1:
      return CopyArray<uint8_t>(from, to);
    case 'u' << 4 | 2:
      return CopyArray<uint16_t>(from, to);
    case 'u' << 4 | 4:
      return CopyArray<uint32_t>(from, to);
    case 'u' << 4 | 8:
      return CopyArray<uint64_t>(from, to);
  }
  return false;
}

template bool CopyElements<float>(const ArrayElements&, float*);
template bool CopyElements<double>(const ArrayElements&, double*);
template bool CopyElements<int64_t>(const ArrayElements&, int64_t*);

}  // namespace cmerc
