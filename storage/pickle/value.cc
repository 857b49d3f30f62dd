#include <cmath>
#include <cstdint>
#include <string>

#include "absl/hash/hash.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "storage/pickle/globals.h"
#include "storage/pickle/pickle.h"
#include "storage/pickle/value_data.h"

namespace cmerc::pickle {
namespace {

// Whether `value` is a number equal to some int64.
bool AsInteger(const Value& value, int64_t* integer) {
  switch (value.kind()) {
    case Kind::kBool:
      *integer = value.bool_value() ? 1 : 0;
      return true;
    case Kind::kInt:
      *integer = value.int_value();
      return true;
    case Kind::kFloat: {
      const double real = value.float_value();
      if (!(real >= -0x1p63 && real < 0x1p63) || real != std::trunc(real)) return false;
      *integer = static_cast<int64_t>(real);
      return true;
    }
    default:
      return false;
  }
}

// "float32", "object", "datetime64", ...: NumPy's word for a dtype.
std::string DTypeName(const DType& dtype) {
  const int64_t bits = 8 * dtype.item_size;
  switch (dtype.kind) {
    case 'b':
      return "bool";
    case 'i':
      return absl::StrCat("int", bits);
    case 'u':
      return absl::StrCat("uint", bits);
    case 'f':
      return absl::StrCat("float", bits);
    case 'c':
      return absl::StrCat("complex", bits);
    case 'M':
      return "datetime64";
    case 'm':
      return "timedelta64";
    case 'O':
      return "object";
    case 'U':
      return "str";
    case 'S':
      return "bytes";
    case 'E':
      return "bfloat16";
    default:
      return "void";
  }
}

}  // namespace

absl::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
    case Kind::kBigInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kBytes:
      return "bytes";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kSet:
      return "set";
    case Kind::kDict:
      return "dict";
    case Kind::kArray:
      return "array";
    case Kind::kDType:
      return "dtype";
    case Kind::kGlobal:
      return "global";
    case Kind::kObject:
      return "object";
    case Kind::kPersistentId:
      return "persistent id";
  }
  return "object";
}

uint64_t HashKey(const Value& key) {
  int64_t integer;
  if (AsInteger(key, &integer)) return absl::HashOf(integer);
  switch (key.kind()) {
    case Kind::kFloat:
      return absl::HashOf(key.float_value());
    case Kind::kString:
      return absl::HashOf(key.string());
    case Kind::kBytes:
      return absl::HashOf(key.bytes());
    case Kind::kBigInt:
      return absl::HashOf(key.bytes());
    case Kind::kTuple: {
      uint64_t hash = key.items().size();
      for (const Value* item : key.items()) hash = absl::HashOf(hash, HashKey(*item));
      return hash;
    }
    case Kind::kNone:
      return 0;
    default:
      return absl::HashOf(&key);
  }
}

bool SameKey(const Value& a, const Value& b) {
  if (&a == &b) return true;
  int64_t x, y;
  const bool integer = AsInteger(a, &x);
  if (integer != AsInteger(b, &y)) return false;
  if (integer) return x == y;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kNone:
      return true;
    case Kind::kFloat:
      return a.float_value() == b.float_value();
    case Kind::kString:
      return a.string() == b.string();
    case Kind::kBytes:
    case Kind::kBigInt:
      return a.bytes() == b.bytes();
    case Kind::kTuple: {
      if (a.items().size() != b.items().size()) return false;
      for (size_t i = 0; i < a.items().size(); ++i) {
        if (!SameKey(*a.items()[i], *b.items()[i])) return false;
      }
      return true;
    }
    default:
      return false;
  }
}

int64_t Value::Mapping::Find(const Value& key) const {
  if (table == nullptr) {
    for (uint32_t i = 0; i < size; ++i) {
      if (SameKey(*keys[i], key)) return i;
    }
    return -1;
  }
  const uint32_t mask = table_size - 1;
  for (uint64_t slot = HashKey(key) & mask; table[slot] != 0; slot = (slot + 1) & mask) {
    if (SameKey(*keys[table[slot] - 1], key)) return table[slot] - 1;
  }
  return -1;
}

absl::string_view Value::string() const {
  if (kind_ != Kind::kString) return {};
  return {data_.text.data, data_.text.size};
}

absl::string_view Value::bytes() const {
  if (kind_ != Kind::kBytes && kind_ != Kind::kBigInt) return {};
  return {data_.text.data, data_.text.size};
}

absl::string_view Value::global_name() const {
  if (kind_ == Kind::kObject) return data_.call->callable->global_name();
  if (kind_ != Kind::kGlobal) return {};
  return {data_.global.name, data_.global.size};
}

// The class is what is called, or what the reconstructing function that is called is told first.
absl::string_view Value::class_name() const {
  if (kind_ == Kind::kArray && data_.array != nullptr) return data_.array->class_name;
  if (kind_ != Kind::kObject) return {};
  const absl::string_view called = global_name();
  if (absl::StartsWith(called, "torch._utils._rebuild")) return "torch.Tensor";
  if (absl::StartsWith(called, "jax.")) return "jax.Array";
  const absl::string_view last = called.substr(called.rfind('.') + 1);
  const absl::Span<const Value* const> args = data_.call->args->items();
  const bool made_by_function = absl::StartsWith(last, "_") || last == "getattr";
  if (made_by_function && !args.empty() && args[0]->kind() == Kind::kGlobal) {
    return args[0]->global_name();
  }
  return called;
}

absl::Span<const Value* const> Value::items() const {
  switch (kind_) {
    case Kind::kList:
    case Kind::kTuple:
      return {data_.sequence.items, data_.sequence.size};
    case Kind::kSet:
      if (data_.mapping == nullptr) return {};
      return {data_.mapping->keys, data_.mapping->size};
    case Kind::kArray:
      if (data_.array == nullptr || data_.array->items == nullptr) return {};
      return {data_.array->items, static_cast<size_t>(data_.array->num_elements)};
    default:
      return {};
  }
}

absl::Span<const Value* const> Value::keys() const {
  if (kind_ != Kind::kDict || data_.mapping == nullptr) return {};
  return {data_.mapping->keys, data_.mapping->size};
}

absl::Span<const Value* const> Value::values() const {
  if (kind_ != Kind::kDict || data_.mapping == nullptr) return {};
  return {data_.mapping->values, data_.mapping->size};
}

const Value* Value::Find(absl::string_view key) const {
  if (kind_ != Kind::kDict || data_.mapping == nullptr) return nullptr;
  Value probe;
  probe.kind_ = Kind::kString;
  probe.data_.text = {key.data(), key.size()};
  const int64_t index = data_.mapping->Find(probe);
  return index < 0 ? nullptr : data_.mapping->values[index];
}

const Value* Value::Find(int64_t key) const {
  if (kind_ != Kind::kDict || data_.mapping == nullptr) return nullptr;
  Value probe;
  probe.kind_ = Kind::kInt;
  probe.data_.integer = key;
  const int64_t index = data_.mapping->Find(probe);
  return index < 0 ? nullptr : data_.mapping->values[index];
}

DType Value::dtype() const {
  if (kind_ == Kind::kDType) return data_.dtype;
  if (kind_ == Kind::kArray && data_.array != nullptr) return data_.array->dtype;
  return {'i', false, 1};
}

absl::Span<const int64_t> Value::shape() const {
  static constexpr int64_t kNoElements[] = {0};
  if (kind_ != Kind::kArray) return {};
  if (data_.array == nullptr) return kNoElements;
  return {data_.array->shape, data_.array->num_axes};
}

int64_t Value::num_elements() const {
  return kind_ == Kind::kArray && data_.array != nullptr ? data_.array->num_elements : 0;
}

bool Value::fortran_order() const {
  return kind_ == Kind::kArray && data_.array != nullptr && data_.array->fortran_order;
}

absl::string_view Value::raw_data() const {
  if (kind_ != Kind::kArray || data_.array == nullptr) return {};
  return {data_.array->data, data_.array->data_size};
}

const Value* Value::args() const { return kind_ == Kind::kObject ? data_.call->args : nullptr; }

const Value* Value::state() const { return kind_ == Kind::kObject ? data_.call->state : nullptr; }

const Value* Value::persistent_id() const {
  return kind_ == Kind::kPersistentId ? data_.id : nullptr;
}

std::string Describe(const Value& value) {
  static constexpr size_t kLongest = 40, kLongestName = 200;
  const auto quote = [](absl::string_view text) {
    return absl::StrCat("'", absl::Utf8SafeCHexEscape(text.substr(0, kLongest)), "'",
                        text.size() > kLongest ? "..." : "");
  };
  const absl::string_view name = KindName(value.kind());
  const absl::string_view of = value.class_name();
  const std::string class_name = absl::CHexEscape(of.substr(0, kLongestName));
  switch (value.kind()) {
    case Kind::kBool:
      return value.bool_value() ? "True" : "False";
    case Kind::kInt:
      return absl::StrCat("int ", value.int_value());
    case Kind::kBigInt:
      return absl::StrCat("int of ", value.bytes().size(), " bytes");
    case Kind::kFloat:
      return absl::StrCat("float ", value.float_value());
    case Kind::kString:
      return absl::StrCat("str ", quote(value.string()));
    case Kind::kBytes:
      return absl::StrCat("bytes of length ", value.bytes().size());
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kSet:
      return absl::StrCat(name, " of ", value.items().size());
    case Kind::kDict:
      return absl::StrCat(name, " of ", value.keys().size());
    case Kind::kArray:
      return absl::StrCat(class_name, class_name.empty() ? "" : ", ", DTypeName(value.dtype()),
                          " array of shape [", absl::StrJoin(value.shape(), ", "), "]");
    case Kind::kGlobal:
      return absl::StrCat(name, " ", absl::CHexEscape(value.global_name().substr(0, kLongestName)));
    case Kind::kObject:
      return absl::StrCat("object of class ", class_name);
    default:
      return std::string(name);
  }
}

std::string HowToConvert(const Value& value) {
  absl::string_view line;
  if (value.kind() == Kind::kObject) {
    line = PlainInPython(value.class_name());
    // Of a class that is not known: attributes, or the one value that a member of an Enum is made
    // of.
    if (line.empty()) {
      const Value* state = value.state();
      const bool member =
          value.args()->items().size() == 1 || value.global_name() == "builtins.getattr";
      line = state != nullptr && state->kind() == Kind::kDict ? "list(vars(x).values())"
             : state == nullptr && member                     ? "x.value"
                                                              : "numpy.asarray(x)";
    }
  } else if (value.kind() == Kind::kArray) {
    switch (value.dtype().kind) {
      case 'c':
        line = "x.real";
        break;
      case 'M':
      case 'm':
        line = "x.astype(str)";
        break;
      case 'V':
        line = "numpy.lib.recfunctions.structured_to_unstructured(x)";
        break;
      case 'E':
      case 'f':
        if (value.dtype().kind == 'E' || value.dtype().item_size > 8) line = "x.astype('f4')";
        break;
      default:
        break;
    }
  }
  if (line.empty()) return "";
  return absl::StrCat("; make it plain in Python, x = ", line,
                      ", and dump the file again (docs/your_own_data.md)");
}

}  // namespace cmerc::pickle
