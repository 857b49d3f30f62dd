#include "datasets/formats/json_cursor.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <set>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/charconv.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "datasets/formats/utf8.h"

namespace cmerc::datasets {
namespace {

constexpr size_t kMaxDepth = 100;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Whether a string holds this byte as it is, for a character of its own.
bool IsPlainAscii(char c) { return absl::ascii_isascii(c) && c >= 0x20 && c != '"' && c != '\\'; }

}  // namespace

void JsonCursor::SkipBlanks() {
  while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\t' ||
                                      text_[position_] == '\r' || text_[position_] == '\n')) {
    ++position_;
  }
}

bool JsonCursor::Fail(absl::string_view problem) {
  if (error_.empty()) error_ = absl::StrCat(path_, path_.empty() ? "" : " ", problem);
  return false;
}

bool JsonCursor::FailSyntax(absl::string_view expected) {
  const std::string place = path_.empty() ? "" : absl::StrCat(" (in ", path_, ")");
  if (error_.empty()) {
    error_ = position_ >= text_.size()
                 ? absl::StrCat("ends before its JSON does", place, ": want ", expected,
                                "; every line must hold a whole conversation")
                 : absl::StrCat("column ", position_ + 1, place, ": want ", expected, ", got \"",
                                absl::CHexEscape(text_.substr(position_, 12)), "\"");
  }
  return false;
}

// Fails at a byte that is not UTF-8, and says what the text around it may be.
bool JsonCursor::FailEncoding() {
  constexpr size_t kAround = 12;
  const size_t begin =
      std::max(text_.rfind('"', position_) + 1, position_ - std::min(position_, kAround));
  const size_t end = std::min(text_.find('"', position_), position_ + kAround);
  const std::string text =
      FromWindows1252(text_).empty() ? "" : FromWindows1252(text_.substr(begin, end - begin));
  if (text.empty()) return FailSyntax("UTF-8; save the file in that encoding");
  return FailSyntax(
      absl::StrCat("UTF-8; it reads as Windows-1252 (\"", absl::Utf8SafeCHexEscape(text),
                   "\"): save the file as UTF-8, with iconv -f WINDOWS-1252 -t UTF-8"));
}

// Fails with what the value that begins here is, and what is wanted instead.
bool JsonCursor::FailValue(absl::string_view want) {
  SkipBlanks();
  const absl::string_view rest = text_.substr(position_);
  for (const absl::string_view word : {"NaN", "Infinity", "-Infinity"}) {
    if (!absl::StartsWith(rest, word)) continue;
    return Fail(absl::StrCat("is ", word, ", want ", want, "; replace the value"));
  }
  for (const auto& [first, kind] : {std::pair('{', "an object"),
                                    {'[', "a list"},
                                    {'"', "a string"},
                                    {'t', "true"},
                                    {'f', "false"},
                                    {'n', "null"}}) {
    if (!rest.empty() && rest[0] == first) return Fail(absl::StrCat("is ", kind, ", want ", want));
  }
  const size_t end = NumberEnd();
  if (end != absl::string_view::npos) {
    return Fail(absl::StrCat("is ", text_.substr(position_, std::min<size_t>(end - position_, 40)),
                             ", want ", want));
  }
  return FailSyntax(want);
}

bool JsonCursor::NextIs(char first) {
  SkipBlanks();
  return position_ < text_.size() && text_[position_] == first;
}

bool JsonCursor::NextIsListOfLists() {
  if (!NextIs('[')) return false;
  const size_t begin = position_++;
  const bool lists = NextIs('[');
  position_ = begin;
  return lists;
}

bool JsonCursor::TakeNull() {
  constexpr absl::string_view kNull = "null";
  if (!error_.empty() || !NextIs('n') || !absl::StartsWith(text_.substr(position_), kNull)) {
    return false;
  }
  position_ += kNull.size();
  return true;
}

bool JsonCursor::TakeEmptyList() {
  if (!error_.empty() || !NextIs('[')) return false;
  const size_t begin = position_++;
  if (NextIs(']')) return ++position_, true;
  position_ = begin;
  return false;
}

bool JsonCursor::ReadKey(std::string* key) {
  if (!NextIs('"')) return FailSyntax("a key in double quotes");
  if (!ReadString(key)) return false;
  if (!NextIs(':')) return FailSyntax("':'");
  ++position_;
  return true;
}

bool JsonCursor::SkipScalar() {
  std::string ignored;
  if (NextIs('"')) return ReadString(&ignored);
  for (const absl::string_view word : {"true", "false", "null"}) {
    if (!absl::StartsWith(text_.substr(position_), word)) continue;
    position_ += word.size();
    return true;
  }
  const size_t end = NumberEnd();
  if (end == absl::string_view::npos) {
    const bool is_word = NextIs('t') || NextIs('f') || NextIs('n');
    return is_word ? FailSyntax("a value of JSON") : FailValue("a value of JSON");
  }
  position_ = end;
  return true;
}

bool JsonCursor::ReadValue(std::string* json) {
  if (!error_.empty()) return false;
  SkipBlanks();
  const size_t begin = position_;
  std::string open;  // what is not closed yet: '{' and '['
  std::string key;
  do {
    if (NextIs('{') || NextIs('[')) {
      if (open.size() == kMaxDepth) {
        return Fail(absl::StrCat("is nested deeper than ", kMaxDepth, " levels"));
      }
      open.push_back(text_[position_++]);
      if (!NextIs(open.back() == '{' ? '}' : ']')) {
        if (open.back() == '{' && !ReadKey(&key)) return false;
        continue;
      }
    } else if (!SkipScalar()) {
      return false;
    }
    while (!open.empty()) {  // a value has ended
      if (NextIs(open.back() == '{' ? '}' : ']')) {
        ++position_;
        open.pop_back();
        continue;
      }
      if (!NextIs(',')) return FailSyntax(open.back() == '{' ? "',' or '}'" : "',' or ']'");
      ++position_;
      if (open.back() == '{' && !ReadKey(&key)) return false;
      break;
    }
  } while (!open.empty());
  *json = std::string(text_.substr(begin, position_ - begin));
  // Strings have none of these but as escapes.
  json->erase(std::remove_if(json->begin(), json->end(),
                             [](char c) { return c == '\n' || c == '\r' || c == '\t'; }),
              json->end());
  return true;
}

bool JsonCursor::ReadObject(absl::FunctionRef<bool(const std::string& key)> read_member) {
  if (!error_.empty()) return false;
  if (!NextIs('{')) return FailValue("an object {...}");
  ++position_;
  if (NextIs('}')) return ++position_, true;
  const size_t path_size = path_.size();
  std::set<std::string> keys;
  while (true) {
    if (!NextIs('"')) return FailSyntax("a key in double quotes");
    std::string key;
    if (!ReadString(&key)) return false;
    absl::StrAppend(&path_, path_.empty() ? "" : ".", absl::CHexEscape(key));
    if (!keys.insert(key).second) return Fail("occurs twice");
    if (!NextIs(':')) return FailSyntax("':'");
    ++position_;
    if (!read_member(key)) return false;
    path_.resize(path_size);
    if (NextIs('}')) return ++position_, true;
    if (!NextIs(',')) return FailSyntax("',' or '}'");
    ++position_;
  }
}

bool JsonCursor::ReadArray(absl::FunctionRef<bool(int64_t index)> read_element) {
  if (!error_.empty()) return false;
  if (!NextIs('[')) return FailValue("a list [...]");
  ++position_;
  if (NextIs(']')) return ++position_, true;
  const size_t path_size = path_.size();
  for (int64_t index = 0;; ++index) {
    absl::StrAppend(&path_, "[", index, "]");
    if (!read_element(index)) return false;
    path_.resize(path_size);
    if (NextIs(']')) return ++position_, true;
    if (!NextIs(',')) return FailSyntax("',' or ']'");
    ++position_;
  }
}

bool JsonCursor::ReadHex4(uint32_t* unit) {
  *unit = 0;
  for (int i = 0; i < 4; ++i, ++position_) {
    if (position_ >= text_.size() || !absl::ascii_isxdigit(text_[position_])) {
      return FailSyntax("four hexadecimal digits");
    }
    const char c = absl::ascii_tolower(text_[position_]);
    *unit = *unit << 4 | static_cast<uint32_t>(IsDigit(c) ? c - '0' : c - 'a' + 10);
  }
  return true;
}

// What follows a backslash.
bool JsonCursor::ReadEscape(std::string* value) {
  constexpr absl::string_view kEscapes = "\"\\/bfnrt";
  constexpr absl::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const size_t simple =
      position_ < text_.size() ? kEscapes.find(text_[position_]) : absl::string_view::npos;
  if (simple != absl::string_view::npos) {
    value->push_back(kMeanings[simple]);
    ++position_;
    return true;
  }
  if (position_ >= text_.size() || text_[position_] != 'u') return FailSyntax("an escape of JSON");
  ++position_;
  uint32_t code;
  if (!ReadHex4(&code)) return false;
  if (code >= 0xD800 && code < 0xDC00) {  // the first half of a surrogate pair
    uint32_t second = 0;
    if (!absl::StartsWith(text_.substr(position_), "\\u")) {
      return FailSyntax("the second half of a surrogate pair");
    }
    position_ += 2;
    if (!ReadHex4(&second)) return false;
    if (second < 0xDC00 || second > 0xDFFF) return Fail("has half a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (second - 0xDC00);
  } else if (code >= 0xDC00 && code < 0xE000) {
    return Fail("has half a surrogate pair");
  }
  AppendUtf8(code, value);
  return true;
}

bool JsonCursor::ReadString(std::string* value) {
  if (!error_.empty()) return false;
  if (!NextIs('"')) return FailValue("a string");
  ++position_;
  value->clear();
  while (position_ < text_.size()) {
    const size_t begin = position_;
    while (position_ < text_.size() && IsPlainAscii(text_[position_])) ++position_;
    value->append(text_.data() + begin, position_ - begin);
    if (position_ == text_.size()) break;
    const char c = text_[position_];
    if (c == '"') return ++position_, true;
    if (c == '\\') {
      ++position_;
      if (!ReadEscape(value)) return false;
      continue;
    }
    if (static_cast<uint8_t>(c) < 0x20) return FailSyntax("control characters as \\u00XX");
    const size_t length = Utf8Length(text_.substr(position_));
    if (length == 0) return FailEncoding();
    value->append(text_.data() + position_, length);
    position_ += length;
  }
  return FailSyntax("'\"'");
}

size_t JsonCursor::NumberEnd() const {
  size_t end = position_;
  const auto digits = [&] {
    const size_t begin = end;
    while (end < text_.size() && IsDigit(text_[end])) ++end;
    return end - begin;
  };
  const auto skip = [&](char c) {
    if (end >= text_.size() || text_[end] != c) return false;
    ++end;
    return true;
  };
  skip('-');
  if (!skip('0') && digits() == 0) return absl::string_view::npos;
  if (skip('.') && digits() == 0) return absl::string_view::npos;
  if (skip('e') || skip('E')) {
    if (!skip('+')) skip('-');
    if (digits() == 0) return absl::string_view::npos;
  }
  return end;
}

bool JsonCursor::ReadName(std::string* value, bool* is_number) {
  if (!error_.empty()) return false;
  *is_number = !NextIs('"');
  if (!*is_number) return ReadString(value);
  const size_t end = NumberEnd();
  if (end == absl::string_view::npos) return FailValue("a string or an integer");
  *value = std::string(text_.substr(position_, end - position_));
  if (value->find_first_of(".eE") != std::string::npos || *value == "-0") {
    return FailValue("a string or an integer");
  }
  position_ = end;
  return true;
}

bool JsonCursor::TryShortDecimal(float* value) {
  constexpr std::array<double, 16> kPowersOfTen = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  const char* const end = text_.data() + text_.size();
  const char* next = text_.data() + position_;
  uint64_t digits = 0;
  const auto read_digits = [&] {
    const char* const begin = next;
    for (; next != end && IsDigit(*next); ++next) digits = 10 * digits + (*next - '0');
    return static_cast<size_t>(next - begin);
  };
  const bool is_negative = next != end && *next == '-';
  if (is_negative) ++next;
  const char* const first = next;
  const size_t before_point = read_digits();
  if (before_point == 0 || (*first == '0' && before_point > 1)) return false;
  size_t after_point = 0;
  if (next != end && *next == '.') {
    ++next;
    after_point = read_digits();
    if (after_point == 0) return false;
  }
  if (next == end || *next == 'e' || *next == 'E') return false;
  // Up to 15 digits and their power of ten are exact as doubles, so `number` is rounded once.
  if (before_point + after_point >= kPowersOfTen.size()) return false;
  const double number = static_cast<double>(digits) / kPowersOfTen[after_point];
  // Rounding it again, to float, is wrong at most where it lies halfway between two floats.
  constexpr uint64_t kLostBits = (uint64_t{1} << 29) - 1;
  uint64_t bits;
  std::memcpy(&bits, &number, sizeof(bits));
  if ((bits & kLostBits) == uint64_t{1} << 28) return false;
  *value = static_cast<float>(is_negative ? -number : number);
  position_ = next - text_.data();
  return true;
}

bool JsonCursor::TryFloat(float* value) {
  SkipBlanks();
  if (TryShortDecimal(value)) return true;
  const size_t end = NumberEnd();
  if (end == absl::string_view::npos) return false;
  const char* first = text_.data() + position_;
  const char* last = text_.data() + end;
  if (std::from_chars(first, last, *value).ec == std::errc::result_out_of_range) {
    absl::from_chars(first, last, *value);  // which tells the too small from the too large
    if (std::abs(*value) > 1) return false;
  }
  position_ = end;
  return true;
}

bool JsonCursor::ReadFloats(google::protobuf::RepeatedField<float>* values) {
  if (!error_.empty()) return false;
  if (!NextIs('[')) return FailValue("a list of numbers");
  ++position_;
  if (NextIs(']')) return ++position_, true;
  for (int64_t index = 0;; ++index) {
    float value;
    if (!TryFloat(&value)) {
      absl::StrAppend(&path_, "[", index, "]");
      return FailValue("a number that is finite in float32, within +-3.4e38");
    }
    values->Add(value);
    if (NextIs(',')) {
      ++position_;
      continue;
    }
    if (NextIs(']')) return ++position_, true;
    return FailSyntax("',' or ']'");
  }
}

bool JsonCursor::ReadEnd() {
  if (!error_.empty()) return false;
  SkipBlanks();
  return position_ == text_.size() ||
         FailSyntax("the end of the line; every line must hold one conversation");
}

}  // namespace cmerc::datasets
