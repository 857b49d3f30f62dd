// Containers and text.
#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "storage/pickle/machine.h"
#include "storage/pickle/text.h"
#include "storage/pickle/value_data.h"

namespace cmerc::pickle {
namespace {

constexpr uint32_t kMostEntries = uint32_t{1} << 29;
// Keys are compared over and over: long ones could take forever.
constexpr size_t kLongestKey = size_t{64} << 10, kLongestKeyTuple = 16;
// A text this long that is used as the data of an array is nothing else (a short one can be:
// Python 2 shares every str of one character).
constexpr size_t kLongData = 256;

absl::string_view View(const Value& text) {
  return text.kind() == Kind::kString ? text.string() : text.bytes();
}

}  // namespace

Value* Machine::Below(size_t begin) {
  if (begin == (marks_.empty() ? 0 : marks_.back())) {
    Fail("an opcode without its container below the mark: the file is damaged");
    return &stand_in_;
  }
  return stack_[begin - 1];
}

void Machine::Append(Value* list, const Value* const* items, size_t n) {
  if (!Receives(list, Kind::kList, "items are appended to a ", ", not to a list")) return;
  Value::Sequence& sequence = list->data_.sequence;
  if (n > kMostEntries - std::min(kMostEntries, sequence.size)) {
    return Fail("a list of more than 2^29 objects is not supported");
  }
  if (n == 0) return;
  const auto size = static_cast<uint32_t>(sequence.size + n);
  if (size > sequence.capacity) {
    const uint32_t capacity = std::max(size, sequence.size * 2);
    const Value** grown = arena_->New<const Value*>(capacity);
    std::copy(sequence.items, sequence.items + sequence.size, grown);
    sequence.items = grown;
    sequence.capacity = capacity;
  }
  std::copy(items, items + n, sequence.items + sequence.size);
  sequence.size = size;
}

bool Machine::CheckKey(Value* key, size_t longest_text, bool tuple_allowed) {
  switch (key->kind_) {
    case Kind::kNone:
    case Kind::kBool:
    case Kind::kInt:
      return true;
    case Kind::kFloat:
      // Each would be another key, and all of them would have the same hash.
      if (!std::isnan(key->data_.real)) return true;
      Fail("NaN as dict key or set member is not supported");
      return false;
    case Kind::kString:
    case Kind::kBytes:
    case Kind::kBigInt:
      if (key->data_.text.size > longest_text) {
        Fail(absl::StrCat("a dict key or set member of more than ", longest_text,
                          " bytes is not supported"));
        return false;
      }
      Settle(key);
      return status_.ok() && Spend(key->data_.text.size);
    case Kind::kTuple:
      if (!tuple_allowed || key->items().size() > kLongestKeyTuple) break;
      for (const Value* item : key->items()) {
        if (!CheckKey(Mutable(item), longest_text / kLongestKeyTuple, false)) return false;
      }
      return true;
    case Kind::kGlobal:
    case Kind::kObject:
    case Kind::kDType:
    case Kind::kSet:  // frozenset
      return true;    // each is a key of its own
    default:
      break;
  }
  Fail(absl::StrCat("a ", KindName(key->kind_),
                    " as dict key or set member is not supported: expected None, a number, a text "
                    "or a tuple of at most ",
                    kLongestKeyTuple, " of these"));
  return false;
}

void Machine::GrowTable(Value::Mapping* mapping) {
  mapping->table_size = std::max<uint32_t>(32, 2 * mapping->table_size);
  mapping->table = arena_->New<uint32_t>(mapping->table_size);
  std::fill_n(mapping->table, mapping->table_size, 0);
  const uint32_t mask = mapping->table_size - 1;
  for (uint32_t i = 0; i < mapping->size; ++i) {
    uint64_t slot = HashKey(*mapping->keys[i]) & mask;
    while (mapping->table[slot] != 0) slot = (slot + 1) & mask;
    mapping->table[slot] = i + 1;
  }
}

void Machine::Insert(Value* container, Value* key, const Value* value) {
  if (!CheckKey(key, kLongestKey, true)) return;
  Value::Mapping*& mapping = container->data_.mapping;
  if (mapping == nullptr) {
    mapping = arena_->New<Value::Mapping>();
    *mapping = {};
  }
  const int64_t found = mapping->Find(*key);
  if (found >= 0) {
    if (value != nullptr) mapping->values[found] = value;
    return;
  }
  if (mapping->size == kMostEntries) {
    return Fail("a dict or set of more than 2^29 entries is not supported");
  }
  if (mapping->size == mapping->capacity) {
    mapping->capacity = std::max<uint32_t>(1, 2 * mapping->capacity);
    const auto grow = [&](const Value** from) {
      const Value** to = arena_->New<const Value*>(mapping->capacity);
      std::copy(from, from + mapping->size, to);
      return to;
    };
    mapping->keys = grow(mapping->keys);
    if (value != nullptr) mapping->values = grow(mapping->values);
  }
  mapping->keys[mapping->size] = key;
  if (value != nullptr) mapping->values[mapping->size] = value;
  ++mapping->size;
  if (mapping->size <= Value::Mapping::kMaxLinear) return;
  if (2 * mapping->size > mapping->table_size) return GrowTable(mapping);
  const uint32_t mask = mapping->table_size - 1;
  uint64_t slot = HashKey(*key) & mask;
  while (mapping->table[slot] != 0) slot = (slot + 1) & mask;
  mapping->table[slot] = mapping->size;
}

void Machine::SetItems(size_t begin) {
  Value* dict = Below(begin);
  if ((stack_.size() - begin) % 2 != 0) return Fail("a dict item without value");
  if (Receives(dict, Kind::kDict, "items are set in a ", ", not in a dict")) {
    for (size_t i = begin; i < stack_.size() && status_.ok(); i += 2) {
      Insert(dict, stack_[i], stack_[i + 1]);
    }
  }
  stack_.resize(begin);
}

void Machine::AddItems(size_t begin, Value* set) {
  if (Receives(set, Kind::kSet, "members are added to a ", ", not to a set")) {
    for (size_t i = begin; i < stack_.size() && status_.ok(); ++i) Insert(set, stack_[i], nullptr);
  }
  stack_.resize(begin);
}

void Machine::Settle(Value* text) {
  if (text->encoding_ == Value::Encoding::kReady) return;
  const absl::string_view raw(text->data_.text.data, text->data_.text.size);
  const Value::Encoding encoding = text->encoding_;
  text->encoding_ = Value::Encoding::kReady;
  if (encoding == Value::Encoding::kLatin1) {
    const size_t ascii = AsciiPrefix(raw);
    if (ascii == raw.size()) return;
    char* out = arena_->New<char>(ascii + 2 * (raw.size() - ascii));
    text->data_.text = {out, Latin1ToUtf8(raw, out)};
    return;
  }
  bool surrogates;
  if (!CheckUtf8(raw, &surrogates)) return FailAt(text->offset_, "a str that is not UTF-8");
  if (!surrogates) return;
  char* out = arena_->New<char>(raw.size());
  std::copy(raw.begin(), raw.end(), out);
  ReplaceSurrogates(out, raw.size());
  text->data_.text.data = out;
}

void Machine::SettleAll() {
  for (size_t chunk = 0; chunk < value_chunks_.size(); ++chunk) {
    const auto [values, capacity] = value_chunks_[chunk];
    const size_t n = chunk + 1 < value_chunks_.size() ? capacity : capacity - values_left_;
    for (size_t i = 0; i < n && status_.ok(); ++i) Settle(values + i);
  }
}

absl::string_view Machine::TextOf(const Value* value, absl::string_view what) {
  if (value->kind_ != Kind::kString && value->kind_ != Kind::kBytes) {
    Fail(absl::StrCat("expected ", what, ", got ", KindName(value->kind_)));
    return {};
  }
  Settle(Mutable(value));
  return View(*value);
}

absl::string_view Machine::RawBytes(const Value* value, absl::string_view what) {
  if (value->kind_ == Kind::kBytes) return value->bytes();
  if (value->kind_ != Kind::kString) {
    Fail(absl::StrCat("expected ", what, ", got ", KindName(value->kind_)));
    return {};
  }
  const absl::string_view raw = value->string();
  if (value->encoding_ == Value::Encoding::kLatin1) {
    if (raw.size() >= kLongData) {
      Mutable(value)->kind_ = Kind::kBytes;
      Mutable(value)->encoding_ = Value::Encoding::kReady;
    }
    return raw;
  }
  const auto found = latin1_.find(value);
  if (found != latin1_.end()) return found->second;
  const size_t size = Latin1Size(raw);
  char* out = arena_->New<char>(size + 1);
  if (!Utf8ToLatin1(raw, out)) {
    FailAt(value->offset_, absl::StrCat("expected ", what, " as latin-1 text, got other text"));
    return {};
  }
  Mutable(value)->encoding_ = Value::Encoding::kReady;
  return latin1_[value] = absl::string_view(out, size);
}

}  // namespace cmerc::pickle
