// Numbers of arrays and nested lists, converted and in C order.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status.h"
#include "storage/pickle/pickle.h"
#include "storage/pickle/value_data.h"

namespace cmerc::pickle {
namespace {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw data is read as little-endian");

constexpr int kDeepestList = 8;

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

// False when an int64 cannot hold it.
template <typename From, typename To>
bool Convert(From from, To* to) {
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

template <typename From, typename To>
bool CopyRun(const char* from, int64_t stride, int64_t n, bool swap, To* to) {
  if (std::is_same_v<From, To> && !swap && stride == sizeof(From)) {
    if (n > 0) std::memcpy(to, from, n * sizeof(From));
    return true;
  }
  bool good = true;
  if (swap) {
    for (int64_t i = 0; i < n; ++i) good &= Convert(Load<From>(from + i * stride, true), to + i);
  } else {
    for (int64_t i = 0; i < n; ++i) good &= Convert(Load<From>(from + i * stride, false), to + i);
  }
  return good;
}

template <typename From, typename To>
bool CopyArray(const Value& array, To* to) {
  const char* const data = array.raw_data().data();
  const absl::Span<const int64_t> shape = array.shape();
  const bool swap = array.dtype().big_endian && sizeof(From) > 1;
  if (!array.fortran_order() || shape.size() < 2) {
    return CopyRun<From>(data, sizeof(From), array.num_elements(), swap, to);
  }
  if (array.num_elements() == 0) return true;
  // Runs along the last axis, whose elements lie furthest apart; `index` counts the other axes.
  std::vector<int64_t> index(shape.size() - 1, 0), strides(shape.size());
  int64_t stride = sizeof(From);
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  bool good = true;
  const char* from = data;
  for (const To* const end = to + array.num_elements(); to != end; to += shape.back()) {
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

bool IsNumeric(const DType& dtype) {
  return dtype.kind == 'b' || dtype.kind == 'i' || dtype.kind == 'u' || dtype.kind == 'f';
}

}  // namespace

template <typename T>
absl::Status Value::CopyTo(absl::Span<T> out) const {
  const DType type = dtype();
  if (kind_ != Kind::kArray || !IsNumeric(type)) {
    return absl::InvalidArgumentError(absl::StrCat("expected numbers, got ", Describe(*this)));
  }
  if (static_cast<int64_t>(out.size()) != num_elements()) {
    return absl::InvalidArgumentError(
        absl::StrCat("room for ", out.size(), " numbers, got ", Describe(*this)));
  }
  bool good = false;
  switch (type.kind << 4 | type.item_size) {
    case 'f' << 4 | 2:
      good = CopyArray<Half>(*this, out.data());
      break;
    case 'f' << 4 | 4:
      good = CopyArray<float>(*this, out.data());
      break;
    case 'f' << 4 | 8:
      good = CopyArray<double>(*this, out.data());
      break;
    case 'i' << 4 | 1:
      good = CopyArray<int8_t>(*this, out.data());
      break;
    case 'i' << 4 | 2:
      good = CopyArray<int16_t>(*this, out.data());
      break;
    case 'i' << 4 | 4:
      good = CopyArray<int32_t>(*this, out.data());
      break;
    case 'i' << 4 | 8:
      good = CopyArray<int64_t>(*this, out.data());
      break;
    case 'b' << 4 | 1:
    case 'u' << 4 | 1:
      good = CopyArray<uint8_t>(*this, out.data());
      break;
    case 'u' << 4 | 2:
      good = CopyArray<uint16_t>(*this, out.data());
      break;
    case 'u' << 4 | 4:
      good = CopyArray<uint32_t>(*this, out.data());
      break;
    case 'u' << 4 | 8:
      good = CopyArray<uint64_t>(*this, out.data());
      break;
  }
  if (!good) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected integers of 64 bits, got others in a ", Describe(*this)));
  }
  return absl::OkStatus();
}

template absl::Status Value::CopyTo<float>(absl::Span<float>) const;
template absl::Status Value::CopyTo<double>(absl::Span<double>) const;
template absl::Status Value::CopyTo<int64_t>(absl::Span<int64_t>) const;

absl::Status Document::CheckShape(const Value& value, absl::Span<const int64_t> shape,
                                  int64_t* visits_left) const {
  switch (value.kind()) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kFloat:
    case Kind::kArray:
      if (value.kind() == Kind::kArray && !IsNumeric(value.dtype())) break;
      *visits_left -= std::max<int64_t>(1, value.num_elements());
      if (*visits_left < 0) {
        return Error(value, "more numbers than a file of this size may hold");
      }
      if (value.shape() == shape) return absl::OkStatus();
      return Error(value, absl::StrCat("expected numbers of shape [", absl::StrJoin(shape, ", "),
                                       "] as in the first row, got ", Describe(value)));
    case Kind::kList:
    case Kind::kTuple: {
      if (--*visits_left < 0) {
        return Error(value, "more numbers than a file of this size may hold");
      }
      if (shape.empty() || static_cast<int64_t>(value.items().size()) != shape[0]) {
        return Error(value, absl::StrCat("expected numbers of shape [", absl::StrJoin(shape, ", "),
                                         "] as in the first row, got ", Describe(value)));
      }
      for (const Value* item : value.items()) {
        RETURN_IF_ERROR(CheckShape(*item, shape.subspan(1), visits_left));
      }
      return absl::OkStatus();
    }
    default:
      break;
  }
  return Error(value, absl::StrCat("expected a number, a numeric array or a list of these, got ",
                                   Describe(value)));
}

absl::StatusOr<std::vector<int64_t>> Document::NumbersShape(const Value& value) const {
  std::vector<int64_t> shape;
  const Value* first = &value;
  for (int depth = 0; first->kind() == Kind::kList || first->kind() == Kind::kTuple; ++depth) {
    if (depth == kDeepestList) {
      return Error(value, absl::StrCat("expected numbers, got lists nested more than ",
                                       kDeepestList, " deep"));
    }
    shape.push_back(static_cast<int64_t>(first->items().size()));
    if (first->items().empty()) break;
    first = first->items()[0];
  }
  shape.insert(shape.end(), first->shape().begin(), first->shape().end());
  int64_t visits_left = static_cast<int64_t>(pickle_size_) + (int64_t{1} << 24);
  RETURN_IF_ERROR(CheckShape(value, shape, &visits_left));
  return shape;
}

template <typename T>
absl::Status Document::CopyRows(const Value& value, absl::Span<T>* out) const {
  bool good = true;
  switch (value.kind()) {
    case Kind::kList:
    case Kind::kTuple:
      for (const Value* item : value.items()) {
        RETURN_IF_ERROR(CopyRows(*item, out));
      }
      return absl::OkStatus();
    case Kind::kArray: {
      absl::Status status = value.CopyTo(out->subspan(0, value.num_elements()));
      if (!status.ok()) return Error(value, status.message());
      out->remove_prefix(value.num_elements());
      return absl::OkStatus();
    }
    case Kind::kFloat:
      good = Convert(value.float_value(), out->data());
      break;
    default:
      good = Convert(value.kind() == Kind::kBool ? int64_t{value.bool_value()} : value.int_value(),
                     out->data());
  }
  if (!good) return Error(value, absl::StrCat("expected an integer, got ", Describe(value)));
  out->remove_prefix(1);
  return absl::OkStatus();
}

template <typename T>
absl::Status Document::CopyNumbers(const Value& value, absl::Span<T> out) const {
  ASSIGN_OR_RETURN(std::vector<int64_t> shape, NumbersShape(value));
  const bool empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  int64_t size = empty ? 0 : 1;  // no overflow: NumbersShape has counted the elements
  for (const int64_t length : shape) size *= empty ? 0 : length;
  if (static_cast<int64_t>(out.size()) != size) {
    return Error(value, absl::StrCat("room for ", out.size(), " numbers, got shape [",
                                     absl::StrJoin(shape, ", "), "]"));
  }
  return CopyRows(value, &out);
}

template absl::Status Document::CopyNumbers<float>(const Value&, absl::Span<float>) const;
template absl::Status Document::CopyNumbers<double>(const Value&, absl::Span<double>) const;
template absl::Status Document::CopyNumbers<int64_t>(const Value&, absl::Span<int64_t>) const;

}  // namespace cmerc::pickle
