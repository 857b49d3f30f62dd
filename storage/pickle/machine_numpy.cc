// NumPy's arrays, dtypes and scalars, from the states that their __reduce__ methods write.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "storage/pickle/machine.h"
#include "storage/pickle/text.h"
#include "storage/pickle/value_data.h"

namespace cmerc::pickle {
namespace {

bool IsInteger(const Value& value) {
  return value.kind() == Kind::kInt || value.kind() == Kind::kBool;
}

bool ItemSizeFits(const DType& dtype) {
  const int64_t size = dtype.item_size;
  switch (dtype.kind) {
    case 'b':
      return size == 1;
    case 'i':
    case 'u':
      return size == 1 || size == 2 || size == 4 || size == 8;
    case 'f':
      return size == 2 || size == 4 || size == 8 || size == 12 || size == 16;
    case 'c':
      return size == 8 || size == 16 || size == 24 || size == 32;
    case 'M':
    case 'm':
      return size == 8;
    case 'E':
      return size == 2;
    case 'O':
      return size == 4 || size == 8;  // a pointer of the machine that wrote it
    case 'S':
    case 'V':
      return size >= 0;
    case 'U':
      return size >= 0 && size % 4 == 0;
    default:
      return false;
  }
}

// Whether MakeScalar() gives a number, bytes or a text.
bool IsPlainScalar(const DType& dtype) {
  return dtype.item_size <= 8 ? absl::StrContains("biufSU", std::string(1, dtype.kind))
                              : dtype.kind == 'S' || dtype.kind == 'U';
}

}  // namespace

// numpy.dtype("f4", align, copy), or with the class of the elements where they are not NumPy's
Value* Machine::MakeDType(absl::Span<const Value* const> args) {
  if (args.empty() || args.size() > 3) return nullptr;
  if (args[0]->kind_ == Kind::kGlobal && !options_.refuse_unknown) {
    Value* foreign = New(Kind::kDType);
    const bool bfloat16 = absl::EndsWith(args[0]->global_name(), ".bfloat16");
    foreign->data_.dtype = {bfloat16 ? 'E' : 'V', false, bfloat16 ? 2 : 0};
    return foreign;
  }
  const absl::string_view code = TextOf(args[0], "a dtype's code");
  if (!Spend(code.size())) return &stand_in_;
  absl::string_view rest = code;
  Value* result = New(Kind::kDType);
  DType& dtype = result->data_.dtype;
  if (!rest.empty() && absl::string_view("<>|=").find(rest[0]) != absl::string_view::npos) {
    dtype.big_endian = rest[0] == '>';
    rest.remove_prefix(1);
  }
  if (!rest.empty()) {
    dtype.kind = rest[0];
    rest.remove_prefix(1);
    if (dtype.kind == 'O' && rest.empty()) rest = "8";
    if (absl::SimpleAtoi(rest, &dtype.item_size) && dtype.item_size >= 0 &&
        dtype.item_size < (int64_t{1} << 40)) {
      if (dtype.kind == 'U') dtype.item_size *= 4;
      if (ItemSizeFits(dtype)) return result;
    }
  }
  Fail(
      absl::StrCat("dtype '", absl::CHexEscape(code.substr(0, 40)),
                   "' is not supported: expected b1, i1 to i8, u1 to u8, f2 to f16, c8 to c32, M8, "
                   "m8, S, U, V or O"));
  return result;
}

// (version, byte order, subdtype, names, fields, item size, alignment, flags)
void Machine::BuildDType(Value* dtype, const Value* state) {
  const absl::Span<const Value* const> items = state->items();
  if (state->kind_ != Kind::kTuple || items.size() < 7 || !IsInteger(*items[0]) ||
      !IsInteger(*items[5])) {
    return Fail("the state of a dtype is not NumPy's: the file is damaged");
  }
  for (int i = 2; i < 5 && dtype->data_.dtype.kind != 'V'; ++i) {
    if (!items[i]->is_none()) return Fail("a structured dtype is not supported");
  }
  const absl::string_view order = TextOf(items[1], "a dtype's byte order");
  dtype->data_.dtype.big_endian = order == ">";
  const int64_t item_size = items[5]->int_value();
  if (item_size >= 0) dtype->data_.dtype.item_size = item_size;
  if (!ItemSizeFits(dtype->data_.dtype)) {
    Fail(absl::StrCat("a dtype of kind ", std::string(1, dtype->data_.dtype.kind), " and ",
                      item_size, " bytes is not supported"));
  }
}

// numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), b"b"): BUILD follows.
Value* Machine::MakeArray(absl::Span<const Value* const> args) {
  if (args.empty()) return nullptr;
  const GlobalId id = IdOf(*args[0]);
  if (id == GlobalId::kArrayClass) return WithClass(New(Kind::kArray), args[0], nullptr);
  return id == GlobalId::kNdarray ? New(Kind::kArray) : nullptr;
}

bool Machine::SetShape(const Value* shape, Value::Array* array) {
  const absl::Span<const Value* const> lengths = shape->items();
  if (shape->kind_ != Kind::kTuple || lengths.size() > kMostAxes) {
    Fail(absl::StrCat("expected an array's shape, a tuple of at most ", kMostAxes, " lengths, got ",
                      Describe(*shape)));
    return false;
  }
  int64_t* out = arena_->New<int64_t>(lengths.size());
  int64_t bound = std::max<int64_t>(1, array->dtype.item_size);
  bool empty = false;
  for (size_t axis = 0; axis < lengths.size(); ++axis) {
    out[axis] = lengths[axis]->int_value();
    if (lengths[axis]->kind_ != Kind::kInt || out[axis] < 0) {
      Fail(absl::StrCat("expected a length of an array's axis, got ", Describe(*lengths[axis])));
      return false;
    }
    if (out[axis] == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(bound, out[axis], &bound)) {
      Fail("an array's shape overflows 64 bits: the file is damaged");
      return false;
    }
  }
  array->shape = out;
  array->num_axes = static_cast<uint32_t>(lengths.size());
  array->num_elements = empty ? 0 : bound / std::max<int64_t>(1, array->dtype.item_size);
  return true;
}

void Machine::CheckDataSize(const Value::Array& array) {
  const int64_t expected = array.num_elements * array.dtype.item_size;  // SetShape: no overflow
  if (static_cast<uint64_t>(expected) == array.data_size &&
      (array.dtype.item_size > 0 || array.num_elements == 0)) {
    return;
  }
  Fail(absl::StrCat("an array of shape [",
                    absl::StrJoin(absl::MakeSpan(array.shape, array.num_axes), ", "), "] and ",
                    array.dtype.item_size, " bytes per element, but ", array.data_size,
                    " bytes of data: the file is damaged"));
}

// ([version,] shape, dtype, is it in Fortran order, data)
void Machine::BuildArray(Value* array, const Value* state) {
  absl::Span<const Value* const> items = state->items();
  if (state->kind_ == Kind::kTuple && items.size() == 5) items.remove_prefix(1);
  // A type of elements that is not NumPy's, such as StringDType.
  const bool foreign =
      items.size() == 4 && items[1]->kind_ == Kind::kObject && !options_.refuse_unknown;
  if (state->kind_ != Kind::kTuple || items.size() != 4 ||
      (items[1]->kind_ != Kind::kDType && !foreign) || !IsInteger(*items[2])) {
    return Fail("the state of an array is not NumPy's: the file is damaged");
  }
  auto* built = arena_->New<Value::Array>();
  *built = {};
  const bool listed = items[3]->kind_ == Kind::kList;
  built->dtype = foreign ? DType{listed ? 'O' : 'V', false, 0} : items[1]->data_.dtype;
  if (foreign) {
    const bool texts = absl::StrContains(items[1]->class_name(), "stringdtype");
    built->class_name = texts ? "numpy.dtypes.StringDType" : items[1]->class_name();
  }
  const auto found = classes_.find(array);
  if (found != classes_.end()) built->class_name = found->second.first->global_name();
  if (!SetShape(items[0], built)) return;
  built->fortran_order = items[2]->data_.integer != 0;
  if (built->dtype.kind == 'O') {
    const absl::Span<const Value* const> elements = items[3]->items();
    if (!listed || static_cast<int64_t>(elements.size()) != built->num_elements) {
      return Fail(absl::StrCat("expected ", built->num_elements, " objects of an array, got ",
                               Describe(*items[3])));
    }
    // Copied: the list may grow later on.
    built->items = arena_->New<const Value*>(elements.size());
    std::copy(elements.begin(), elements.end(), built->items);
  } else if (built->dtype.kind != 'V' || !(foreign || listed)) {  // else: cannot be read anyway
    const absl::string_view data = RawBytes(items[3], "the data of an array");
    if (!status_.ok()) return;
    built->data = data.data();
    built->data_size = data.size();
    CheckDataSize(*built);
    if (!status_.ok()) return;
    Widen(built);
  }
  array->data_.array = built;
}

// numpy.ma's (version, shape, dtype, is it in Fortran order, data, mask, fill value)
void Machine::BuildMaskedArray(Value* object, const Value* state) {
  const absl::Span<const Value* const> items = state->items();
  if (state->kind_ != Kind::kTuple || items.size() != 7 || items[2]->kind_ != Kind::kDType ||
      (items[5]->kind_ != Kind::kBytes && items[5]->kind_ != Kind::kString)) {
    return;
  }
  const absl::string_view mask = RawBytes(items[5], "a mask");
  if (!status_.ok() || !Spend(mask.size())) return;
  // What is masked has no value.
  if (mask.find_first_not_of('\0') != absl::string_view::npos) return;
  Value* unmasked_state = New(Kind::kTuple);
  unmasked_state->data_.sequence = {state->data_.sequence.items, 5, 5};
  Value* array = New(Kind::kArray);
  BuildArray(array, unmasked_state);
  if (!status_.ok() || mask.size() != static_cast<uint64_t>(array->num_elements())) return;
  array->data_.array->class_name = "numpy.ma.MaskedArray";
  Become(object, *array);
}

// numpy.core.numeric._frombuffer(buffer, dtype, shape, order): protocol 5. With order K, the axes
// of that shape are put into a fifth argument's order.
Value* Machine::MakeArrayFromBuffer(absl::Span<const Value* const> args) {
  if (args.size() < 4 || args.size() > 5 || args[1]->kind_ != Kind::kDType ||
      args[1]->data_.dtype.kind == 'O') {
    return nullptr;
  }
  const absl::string_view order = TextOf(args[3], "an array's order");
  const bool permuted = order == "K" && args.size() == 5 && args[4]->kind_ == Kind::kTuple;
  if (order != "C" && order != "F" && !permuted) return nullptr;
  Value::Array array = {};
  array.dtype = args[1]->data_.dtype;
  array.fortran_order = order == "F";
  const absl::string_view data = RawBytes(args[0], "the data of an array");
  if (!status_.ok() || !SetShape(args[2], &array)) return &stand_in_;
  array.data = data.data();
  array.data_size = data.size();
  CheckDataSize(array);
  if (!status_.ok()) return &stand_in_;
  Widen(&array);
  if (!permuted) return NewArray(array);

  const absl::Span<const Value* const> axes = args[4]->items();
  if (axes.size() != array.num_axes) return nullptr;
  std::vector<int64_t> strides(axes.size(), 1), shape, permuted_strides;
  for (size_t axis = axes.size(); axis-- > 1;) {
    strides[axis - 1] = array.num_elements == 0 ? 0 : strides[axis] * array.shape[axis];
  }
  std::vector<bool> used(axes.size(), false);
  for (const Value* item : axes) {
    const int64_t axis = item->int_value();
    if (item->kind_ != Kind::kInt || axis < 0 || axis >= int64_t{array.num_axes} || used[axis]) {
      return nullptr;
    }
    used[axis] = true;
    shape.push_back(array.shape[axis]);
    permuted_strides.push_back(strides[axis]);
  }
  return MakeStrided(array, 0, shape, permuted_strides, "");
}

// numpy.core.multiarray.scalar(dtype, data): what Python would make of it
Value* Machine::MakeScalar(absl::Span<const Value* const> args) {
  if (args.size() != 2 || args[0]->kind_ != Kind::kDType) return nullptr;
  const DType dtype = args[0]->data_.dtype;
  if (dtype.kind == 'O') return Mutable(args[1]);
  if (dtype.kind == 'V' && args[1]->kind_ != Kind::kBytes && args[1]->kind_ != Kind::kString) {
    return nullptr;  // a record that holds objects
  }
  const absl::string_view data = RawBytes(args[1], "the data of a NumPy scalar");
  if (!status_.ok()) return &stand_in_;
  if (data.size() != static_cast<uint64_t>(dtype.item_size)) {
    Fail(absl::StrCat("a NumPy scalar of ", dtype.item_size, " bytes, but ", data.size(),
                      " bytes of data: the file is damaged"));
    return &stand_in_;
  }
  if (dtype.kind == 'S') {
    Value* result = New(Kind::kBytes);
    result->data_.text = {data.data(), data.size()};
    return result;
  }
  if (dtype.kind == 'U') {
    if (!Spend(data.size())) return &stand_in_;
    std::string text;
    if (!Utf32ToUtf8(data, dtype.big_endian, &text)) Fail("a NumPy str that is not Unicode");
    PushOwnedText(Value::Encoding::kReady, text);
    return Pop();
  }
  if (!IsPlainScalar(dtype)) {
    Value::Array single = {};
    single.dtype = dtype;
    single.num_elements = 1;
    single.data = data.data();
    single.data_size = data.size();
    Widen(&single);
    return NewArray(single);
  }
  // An array of the one element converts like any other.
  Value::Array array = {};
  array.dtype = dtype;
  array.num_elements = 1;
  array.data = data.data();
  array.data_size = data.size();
  Value holder = stand_in_;
  holder.kind_ = Kind::kArray;
  holder.data_.array = &array;
  Value* result = New(dtype.kind == 'f'   ? Kind::kFloat
                      : dtype.kind == 'b' ? Kind::kBool
                                          : Kind::kInt);
  const absl::Status status = dtype.kind == 'f'
                                  ? holder.CopyTo(absl::MakeSpan(&result->data_.real, 1))
                                  : holder.CopyTo(absl::MakeSpan(&result->data_.integer, 1));
  if (!status.ok()) Fail(status.message());
  return result;
}

}  // namespace cmerc::pickle
