// Arrays of what is no NumPy array in the file, or not one that can be read where it lies.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "storage/pickle/machine.h"
#include "storage/pickle/value_data.h"

namespace cmerc::pickle {
namespace {

// bfloat16 is the upper half of a float32.
float FromBfloat16(const char* at) {
  uint16_t upper;
  std::memcpy(&upper, at, sizeof(upper));
  const uint32_t bits = uint32_t{upper} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// The 80 bits of an x87 number, which NumPy pads to 12 or 16 bytes with whatever was in memory.
// Returns false where they are no number of float64's range: a leading bit that does not fit the
// exponent, or an exponent far off, as another machine's long double has.
bool FromExtended(const char* at, double* value) {
  uint64_t fraction;
  uint16_t sign_and_exponent;
  std::memcpy(&fraction, at, sizeof(fraction));
  std::memcpy(&sign_and_exponent, at + sizeof(fraction), sizeof(sign_and_exponent));
  const int exponent = sign_and_exponent & 0x7fff;
  const bool leading = fraction >> 63 != 0;
  double magnitude = 0;
  if (exponent == 0x7fff && leading) {
    magnitude = fraction << 1 == 0 ? std::numeric_limits<double>::infinity()
                                   : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    if (fraction != 0) return false;
  } else {
    const int power = exponent - 16383;
    if (!leading || power < -1022 || power > 1023) return false;
    magnitude = std::ldexp(static_cast<double>(fraction), power - 63);
  }
  *value = sign_and_exponent >> 15 != 0 ? -magnitude : magnitude;
  return true;
}

// Converts `count` such numbers. Returns false where they may be others. IEEE's binary128, which
// has the same size, passes FromExtended() once in 32 times, or as 0 with something in the padding:
// so there must be some that are not 0, or nothing in the padding.
bool FromExtended(const char* at, int64_t size, uint64_t count, double* to) {
  constexpr uint64_t kEnough = 2;
  uint64_t not_zero = 0;
  bool padded = false;
  for (uint64_t i = 0; i < count; ++i, at += size) {
    if (!FromExtended(at, to + i)) return false;
    if (to[i] != 0) ++not_zero;
    padded = padded || std::any_of(at + 10, at + size, [](char byte) { return byte != 0; });
  }
  return !padded || not_zero >= kEnough;
}

// The step along each axis, in elements, of an array whose last axis (C) or first axis (Fortran)
// varies fastest. Axes of length 1 have no step of their own.
bool HasStrides(absl::Span<const int64_t> shape, absl::Span<const int64_t> strides, bool fortran) {
  int64_t expected = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    const size_t axis = fortran ? i : shape.size() - 1 - i;
    if (shape[axis] != 1 && strides[axis] != expected) return false;
    expected *= shape[axis];
  }
  return true;
}

// Copies elements to `to`, in C order.
void Gather(const char* from, int64_t item_size, absl::Span<const int64_t> shape,
            absl::Span<const int64_t> strides, int64_t count, char* to) {
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t i = 0; i < count; ++i, to += item_size) {
    std::memcpy(to, from, item_size);
    for (size_t axis = shape.size(); axis-- > 0;) {
      from += strides[axis] * item_size;
      if (++index[axis] < shape[axis]) break;
      from -= shape[axis] * strides[axis] * item_size;
      index[axis] = 0;
    }
  }
}

}  // namespace

void Machine::Become(Value* object, const Value& value) {
  object->kind_ = value.kind_;
  object->data_ = value.data_;
}

Value* Machine::NewArray(const Value::Array& array) {
  Value* result = New(Kind::kArray);
  result->data_.array = arena_->New<Value::Array>();
  *result->data_.array = array;
  return result;
}

void Machine::BecomeArray(Value* object, const Value::Array& array, absl::string_view class_name) {
  Value* made = NewArray(array);
  made->data_.array->class_name = class_name;
  Become(object, *made);
}

Value* Machine::MakeStrided(const Value::Array& base, int64_t offset,
                            absl::Span<const int64_t> shape, absl::Span<const int64_t> strides,
                            absl::string_view class_name) {
  if (offset < 0 || base.data == nullptr || shape.size() != strides.size()) return nullptr;
  int64_t last = offset, count = 1;
  bool empty = false;
  for (size_t axis = 0; axis < shape.size(); ++axis) {
    int64_t reach;
    if (shape[axis] < 0 || strides[axis] < 0) return nullptr;
    if (shape[axis] == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(shape[axis] - 1, strides[axis], &reach) ||
               __builtin_add_overflow(last, reach, &last) ||
               __builtin_mul_overflow(count, shape[axis], &count)) {
      return nullptr;
    }
  }
  if (!empty && last >= base.num_elements) return nullptr;
  if (empty) count = 0;
  Value::Array array = base;
  array.class_name = class_name;
  array.fortran_order = false;
  array.num_elements = count;
  int64_t* lengths = arena_->New<int64_t>(shape.size());
  std::copy(shape.begin(), shape.end(), lengths);
  array.shape = lengths;
  array.num_axes = static_cast<uint32_t>(shape.size());
  const int64_t item_size = base.dtype.item_size;
  array.data_size = static_cast<uint64_t>(count) * item_size;
  if (empty) return NewArray(array);
  array.data = base.data + offset * item_size;
  if (HasStrides(shape, strides, false)) return NewArray(array);
  if (HasStrides(shape, strides, true)) {
    array.fortran_order = true;
    return NewArray(array);
  }
  // Steps of 0 make much of little.
  uint64_t bytes;
  if (__builtin_mul_overflow(static_cast<uint64_t>(count), static_cast<uint64_t>(item_size),
                             &bytes) ||
      !HasRoom(bytes) || !Spend(bytes)) {
    return nullptr;
  }
  char* copy = arena_->New<char>(bytes);
  Gather(array.data, item_size, shape, strides, count, copy);
  array.data = copy;
  return NewArray(array);
}

void Machine::Widen(Value::Array* array) {
  const DType from = array->dtype;
  const bool bfloat16 = from.kind == 'E', extended = from.kind == 'f' && from.item_size > 8;
  const auto count = static_cast<uint64_t>(array->num_elements);
  if ((!bfloat16 && !extended) || from.big_endian || !HasRoom(count * 8)) return;
  const char* at = array->data;
  if (bfloat16) {
    float* to = arena_->New<float>(count);
    for (uint64_t i = 0; i < count; ++i, at += from.item_size) to[i] = FromBfloat16(at);
    array->data = reinterpret_cast<const char*>(to);
  } else {
    double* to = arena_->New<double>(count);
    if (!FromExtended(at, from.item_size, count, to)) return;
    array->data = reinterpret_cast<const char*>(to);
  }
  array->dtype = {'f', false, bfloat16 ? 4 : 8};
  array->data_size = count * array->dtype.item_size;
}

// range(start, stop, step)
Value* Machine::MakeRange(absl::Span<const Value* const> args) {
  if (args.size() != 3) return nullptr;
  for (const Value* arg : args) {
    if (arg->kind_ != Kind::kInt) return nullptr;
  }
  const int64_t start = args[0]->int_value(), stop = args[1]->int_value();
  const int64_t step = args[2]->int_value();
  if (step == 0) return nullptr;
  // Distances of 64-bit integers fit into unsigned ones.
  uint64_t count = 0;
  if (step > 0 && start < stop) {
    count = (static_cast<uint64_t>(stop) - static_cast<uint64_t>(start) - 1) /
                static_cast<uint64_t>(step) +
            1;
  } else if (step < 0 && start > stop) {
    count = (static_cast<uint64_t>(start) - static_cast<uint64_t>(stop) - 1) /
                (0 - static_cast<uint64_t>(step)) +
            1;
  }
  if (count > std::numeric_limits<uint64_t>::max() / 16 || !HasRoom(8 * count) || !Spend(count)) {
    return nullptr;
  }
  auto* numbers = arena_->New<int64_t>(count);
  for (uint64_t i = 0; i < count; ++i) {
    numbers[i] =
        static_cast<int64_t>(static_cast<uint64_t>(start) + i * static_cast<uint64_t>(step));
  }
  Value::Array array = {};
  array.dtype = {'i', false, 8};
  auto* length = arena_->New<int64_t>(1);
  *length = static_cast<int64_t>(count);
  array.shape = length;
  array.num_axes = 1;
  array.num_elements = *length;
  array.data = reinterpret_cast<const char*>(numbers);
  array.data_size = 8 * count;
  array.class_name = "builtins.range";
  return NewArray(array);
}

}  // namespace cmerc::pickle
