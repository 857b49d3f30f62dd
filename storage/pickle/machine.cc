#include "storage/pickle/machine.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "storage/pickle/text.h"

namespace cmerc::pickle {
namespace {

constexpr int kHighestProtocol = 5;
constexpr uint64_t kMemoryPerByte = 64, kMemoryBase = uint64_t{1} << 20;
constexpr uint64_t kStepsPerByte = 64, kStepsBase = uint64_t{1} << 22;

}  // namespace

Machine::Machine(absl::string_view bytes, absl::string_view name, const Options& options,
                 uint64_t file_size, Arena* arena)
    : bytes_(bytes), name_(name), options_(options), file_size_(file_size), arena_(arena) {
  static_assert(sizeof(Value) == 24, "one of them per object of a file: keep it small");
  stand_in_.kind_ = Kind::kNone;
  stand_in_.encoding_ = Value::Encoding::kReady;
}

absl::StatusOr<const Value*> Machine::Run() {
  if (bytes_.empty()) Fail("the file is empty: expected a pickle");
  while (status_.ok()) {
    opcode_offset_ = position_;
    CheckMemory();
    if (!status_.ok()) break;
    if (position_ == bytes_.size()) {
      Fail("the file is truncated: it ends before the pickle's STOP opcode");
      break;
    }
    const auto opcode = static_cast<uint8_t>(bytes_[position_++]);
    if (opcode == '.') {
      const Value* root = Pop();
      if (status_.ok()) SettleAll();
      CheckMemory();
      if (!status_.ok()) break;
      return root;
    }
    Step(opcode);
  }
  return status_;
}

void Machine::FailAt(uint64_t offset, absl::string_view message) {
  if (!status_.ok()) return;
  status_ = absl::InvalidArgumentError(absl::StrCat(name_, ": byte ", offset, ": ", message));
}

void Machine::CheckMemory() {
  if (arena_->used() <= kMemoryPerByte * file_size_ + kMemoryBase) return;
  Fail(absl::StrCat("the objects need more than ", kMemoryPerByte,
                    " bytes per byte of the file: it may be hostile"));
}

bool Machine::HasRoom(uint64_t bytes) const {
  // Half of what there is stays for what the file itself holds.
  const uint64_t most = (kMemoryPerByte * file_size_ + kMemoryBase) / 2;
  const uint64_t used = arena_->used() + std::min(arena_->used(), kMemoryBase);  // next chunk
  return used <= most && bytes <= most - used;
}

bool Machine::Spend(uint64_t steps) {
  steps_ += steps;
  if (steps_ <= kStepsPerByte * file_size_ + kStepsBase) return true;
  Fail("the same objects are used over and over: the file may be hostile");
  return false;
}

// Opcodes, in the groups of CPython's Lib/pickletools.py.
void Machine::Step(uint8_t opcode) {
  using Encoding = Value::Encoding;
  switch (opcode) {
    // Integers, booleans, None, floats.
    case 'I':
      return ParseInt(Line());
    case 'J':
      return PushInt(Fixed<int32_t>());
    case 'K':
      return PushInt(Fixed<uint8_t>());
    case 'M':
      return PushInt(Fixed<uint16_t>());
    case 'L':
      return ParseLong(Line());
    case 0x8a:  // LONG1
      return PushLong(Bytes(Fixed<uint8_t>()));
    case 0x8b: {  // LONG4
      const auto size = Fixed<int32_t>();
      if (size < 0) return Fail(absl::StrCat("an int of ", size, " bytes: the file is damaged"));
      return PushLong(Bytes(static_cast<uint64_t>(size)));
    }
    case 'N':
      return Push(New(Kind::kNone));
    case 0x88:  // NEWTRUE
      return PushBool(true);
    case 0x89:  // NEWFALSE
      return PushBool(false);
    case 'F':
      return ParseFloat(Line());
    case 'G': {  // BINFLOAT: big-endian
      const uint64_t bits = __builtin_bswap64(Fixed<uint64_t>());
      double value;
      std::memcpy(&value, &bits, sizeof(value));
      return PushFloat(value);
    }

    // Text and bytes.
    case 'S': {
      std::string text;
      if (!UnquoteString(absl::StripAsciiWhitespace(Line()), &text)) {
        return Fail("a str without proper quotes or escapes: the file is damaged");
      }
      return PushOwnedText(Encoding::kLatin1, text);
    }
    case 'T': {  // BINSTRING
      const auto size = Fixed<int32_t>();
      if (size < 0) return Fail(absl::StrCat("a str of ", size, " bytes: the file is damaged"));
      return PushText(Kind::kString, Encoding::kLatin1, Bytes(static_cast<uint64_t>(size)));
    }
    case 'U':  // SHORT_BINSTRING
      return PushText(Kind::kString, Encoding::kLatin1, Bytes(Fixed<uint8_t>()));
    case 'V': {
      std::string text;
      if (!DecodeRawUnicodeEscape(Line(), &text)) {
        return Fail("a str with a malformed \\u escape: the file is damaged");
      }
      return PushOwnedText(Encoding::kReady, text);
    }
    case 'X':  // BINUNICODE
      return PushText(Kind::kString, Encoding::kUtf8, Bytes(Fixed<uint32_t>()));
    case 0x8c:  // SHORT_BINUNICODE
      return PushText(Kind::kString, Encoding::kUtf8, Bytes(Fixed<uint8_t>()));
    case 0x8d:  // BINUNICODE8
      return PushText(Kind::kString, Encoding::kUtf8, Bytes(Fixed<uint64_t>()));
    case 'B':  // BINBYTES
      return PushText(Kind::kBytes, Encoding::kReady, Bytes(Fixed<uint32_t>()));
    case 'C':  // SHORT_BINBYTES
      return PushText(Kind::kBytes, Encoding::kReady, Bytes(Fixed<uint8_t>()));
    case 0x8e:  // BINBYTES8
    case 0x96:  // BYTEARRAY8
      return PushText(Kind::kBytes, Encoding::kReady, Bytes(Fixed<uint64_t>()));
    case 0x97:  // NEXT_BUFFER
    case 0x98:  // READONLY_BUFFER
      return Fail("a buffer outside the file is not supported: pickle without a buffer_callback");

    // Lists, tuples, dicts, sets.
    case ']':
      return Push(New(Kind::kList));
    case 'l': {
      const size_t begin = PopMark();
      Value* list = New(Kind::kList);
      Append(list, stack_.data() + begin, stack_.size() - begin);
      stack_.resize(begin);
      return Push(list);
    }
    case 'a': {
      const Value* item = Pop();
      return Append(Top(), &item, 1);
    }
    case 'e': {
      const size_t begin = PopMark();
      Append(Below(begin), stack_.data() + begin, stack_.size() - begin);
      return stack_.resize(begin);
    }
    case ')':
      return Push(New(Kind::kTuple));
    case 't':
      return Push(NewTuple(PopMark()));
    case 0x85:  // TUPLE1
    case 0x86:  // TUPLE2
    case 0x87: {
      const size_t n = opcode - 0x84u, fence = marks_.empty() ? 0 : marks_.back();
      if (stack_.size() - fence < n) return Fail("too few objects for a tuple");
      return Push(NewTuple(stack_.size() - n));
    }
    case '}':
      return Push(New(Kind::kDict));
    case 'd': {
      const size_t begin = PopMark();
      stack_.insert(stack_.begin() + static_cast<ptrdiff_t>(begin), New(Kind::kDict));
      return SetItems(begin + 1);
    }
    case 's': {
      const Value* value = Pop();
      Value* key = Pop();
      Value* dict = Top();
      if (!Receives(dict, Kind::kDict, "an item is set in a ", ", not in a dict")) return;
      return Insert(dict, key, value);
    }
    case 'u':
      return SetItems(PopMark());
    case 0x8f:  // EMPTY_SET
      return Push(New(Kind::kSet));
    case 0x90: {  // ADDITEMS
      const size_t begin = PopMark();
      return AddItems(begin, Below(begin));
    }
    case 0x91: {  // FROZENSET
      Value* set = New(Kind::kSet);
      AddItems(PopMark(), set);
      return Push(set);
    }

    // The stack and the memo.
    case '(':
      return marks_.push_back(stack_.size());
    case '0':
      if (!marks_.empty() && marks_.back() == stack_.size()) return marks_.pop_back();
      Pop();
      return;
    case '1':
      return stack_.resize(PopMark());
    case '2':
      return Push(Top());
    case 'p':
      return Put(static_cast<uint64_t>(LineInt()), Top());
    case 'q':
      return Put(Fixed<uint8_t>(), Top());
    case 'r':
      return Put(Fixed<uint32_t>(), Top());
    case 0x94:  // MEMOIZE
      return Put(memo_size_, Top());
    case 'g':
      return PushMemo(LineInt());
    case 'h':
      return PushMemo(Fixed<uint8_t>());
    case 'j':
      return PushMemo(Fixed<uint32_t>());

    // Globals and what is made of them.
    case 'c': {
      const absl::string_view module = Line();
      return PushGlobal(module, Line());
    }
    case 0x93: {  // STACK_GLOBAL
      Value* name = Pop();
      Value* module = Pop();
      const absl::string_view module_text = TextOf(module, "a global's module");
      return PushGlobal(module_text, TextOf(name, "a global's name"));
    }
    case 0x82:  // EXT1
    case 0x83:  // EXT2
    case 0x84:  // EXT4
      return Fail("a global by its copyreg extension code is not allowed: the file may be hostile");
    case 'R':     // REDUCE
    case 0x81: {  // NEWOBJ
      Value* args = Pop();
      return Call(Pop(), args, opcode == 0x81);
    }
    case 0x92: {  // NEWOBJ_EX
      const Value* keywords = Pop();
      Value* args = Pop();
      Value* callable = Pop();
      return CallWithKeywords(callable, args, *keywords);
    }
    case 'i': {  // INST
      const absl::string_view module = Line();
      const absl::string_view name = Line();
      Value* args = NewTuple(PopMark());
      PushGlobal(module, name);
      return Call(Pop(), args);
    }
    case 'o': {  // OBJ
      const size_t begin = PopMark();
      if (begin == stack_.size()) return Fail("no class after the mark");
      Value* callable = stack_[begin];
      Value* args = NewTuple(begin + 1);
      stack_.pop_back();
      return Call(callable, args);
    }
    case 'b': {
      Value* state = Pop();
      return Build(Top(), state);
    }
    case 'P':
    case 'Q': {
      if (!options_.allow_persistent_ids) {
        return Fail("a persistent id is not allowed: only checkpoints have them");
      }
      if (opcode == 'P') PushText(Kind::kString, Encoding::kUtf8, Line());
      const Value* id = Pop();
      Value* value = New(Kind::kPersistentId);
      value->data_.id = id;
      return Push(value);
    }

    // Framing.
    case 0x80: {
      const auto protocol = Fixed<uint8_t>();
      if (protocol > kHighestProtocol) {
        return Fail(absl::StrCat("pickle protocol ", protocol, " is not supported: expected 0 to ",
                                 kHighestProtocol));
      }
      return;
    }
    case 0x95: {
      const auto size = Fixed<uint64_t>();
      if (size > bytes_.size() - position_) {
        return Fail(absl::StrCat("the file is truncated: a frame of ", size, " bytes, but only ",
                                 bytes_.size() - position_, " are left"));
      }
      return;
    }
    default:
      return Fail(absl::StrFormat(
          "0x%02x is no opcode of a pickle: the file is damaged or not a pickle", opcode));
  }
}

absl::string_view Machine::Bytes(uint64_t size) {
  const uint64_t left = bytes_.size() - position_;
  if (size > left) {
    Fail(absl::StrCat("the file is truncated: ", size, " bytes expected, but only ", left,
                      " are left"));
    return {};
  }
  position_ += size;
  return bytes_.substr(position_ - size, size);
}

template <typename T>
T Machine::Fixed() {
  T value = 0;
  const absl::string_view bytes = Bytes(sizeof(T));
  if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

absl::string_view Machine::Line() {
  const size_t end = bytes_.find('\n', position_);
  if (end == absl::string_view::npos) {
    Fail("the file is truncated: expected a line of text");
    return {};
  }
  const absl::string_view line = bytes_.substr(position_, end - position_);
  position_ = end + 1;
  return line;
}

Value* Machine::New(Kind kind) {
  if (values_left_ == 0) {
    const size_t n =
        value_chunks_.empty() ? 64 : std::min<size_t>(2 * value_chunks_.back().second, 40000);
    value_chunks_.emplace_back(arena_->New<Value>(n), n);
    values_left_ = n;
  }
  Value* value = value_chunks_.back().first + (value_chunks_.back().second - values_left_--);
  std::memset(static_cast<void*>(value), 0, sizeof(Value));
  value->offset_ = opcode_offset_;
  value->kind_ = kind;
  return value;
}

Value* Machine::Pop() {
  if (stack_.size() == (marks_.empty() ? 0 : marks_.back())) {
    Fail("an opcode without its operand on the stack: the file is damaged");
    return &stand_in_;
  }
  Value* value = stack_.back();
  stack_.pop_back();
  return value;
}

Value* Machine::Top() {
  if (stack_.size() == (marks_.empty() ? 0 : marks_.back())) {
    Fail("an opcode without its operand on the stack: the file is damaged");
    return &stand_in_;
  }
  return stack_.back();
}

size_t Machine::PopMark() {
  if (marks_.empty()) {
    Fail("an opcode without its mark on the stack: the file is damaged");
    return stack_.size();
  }
  const size_t begin = marks_.back();
  marks_.pop_back();
  return begin;
}

Value* Machine::NewTuple(size_t begin) {
  Value* tuple = New(Kind::kTuple);
  const size_t n = stack_.size() - begin;
  if (n > std::numeric_limits<uint32_t>::max()) {
    Fail("a tuple of more than 2^32 objects is not supported");
  } else if (n > 0) {
    const Value** items = arena_->New<const Value*>(n);
    std::copy(stack_.begin() + static_cast<ptrdiff_t>(begin), stack_.end(), items);
    tuple->data_.sequence = {items, static_cast<uint32_t>(n), static_cast<uint32_t>(n)};
  }
  stack_.resize(begin);
  return tuple;
}

void Machine::PushInt(int64_t value) {
  Value* result = New(Kind::kInt);
  result->data_.integer = value;
  Push(result);
}

void Machine::PushBool(bool value) {
  Value* result = New(Kind::kBool);
  result->data_.integer = value ? 1 : 0;
  Push(result);
}

void Machine::PushFloat(double value) {
  Value* result = New(Kind::kFloat);
  result->data_.real = value;
  Push(result);
}

void Machine::PushText(Kind kind, Value::Encoding encoding, absl::string_view text) {
  Value* result = New(kind);
  result->encoding_ = encoding;
  result->data_.text = {text.data(), text.size()};
  Push(result);
}

void Machine::Put(uint64_t index, Value* value) {
  if (index < memo_.size()) {
    if (memo_[index] == nullptr && !sparse_memo_.contains(index)) ++memo_size_;
    memo_[index] = value;
  } else if (index <= 2 * memo_size_ + 16) {
    if (!sparse_memo_.contains(index)) ++memo_size_;
    memo_.resize(index + 1, nullptr);
    memo_[index] = value;
  } else if (sparse_memo_.insert_or_assign(index, value).second) {
    ++memo_size_;
  }
}

void Machine::PushMemo(int64_t index) {
  const auto key = static_cast<uint64_t>(index);
  if (key < memo_.size() && memo_[key] != nullptr) return Push(memo_[key]);
  const auto it = sparse_memo_.find(key);
  if (it != sparse_memo_.end()) return Push(it->second);
  Fail(absl::StrCat("memo ", index, " is read before it is written: the file is damaged"));
}

}  // namespace cmerc::pickle
