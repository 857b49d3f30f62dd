// Numbers and texts that are spelled out in the pickle, most of them by protocol 0.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "storage/pickle/machine.h"

namespace cmerc::pickle {
namespace {

constexpr size_t kMostDigits = 1000;  // of an int that is spelled out

}  // namespace

int64_t Machine::LineInt() {
  const absl::string_view line = Line();
  int64_t value = 0;
  if (!absl::SimpleAtoi(line, &value) || value < 0) {
    Fail("expected a memo index: the file is damaged");
    return 0;
  }
  return value;
}

void Machine::PushOwnedText(Value::Encoding encoding, absl::string_view text) {
  char* copy = arena_->New<char>(text.size());
  std::copy(text.begin(), text.end(), copy);
  PushText(Kind::kString, encoding, {copy, text.size()});
}

void Machine::PushLong(absl::string_view little_endian) {
  const bool negative =
      !little_endian.empty() && (static_cast<uint8_t>(little_endian.back()) & 0x80) != 0;
  // Bytes that only repeat the sign do not count.
  const char fill = negative ? '\xff' : '\0';
  absl::string_view digits = little_endian;
  while (digits.size() > 8 && digits.back() == fill &&
         ((static_cast<uint8_t>(digits[digits.size() - 2]) & 0x80) != 0) == negative) {
    digits.remove_suffix(1);
  }
  if (digits.size() > 8) return PushText(Kind::kBigInt, Value::Encoding::kReady, digits);
  int64_t value = negative ? -1 : 0;
  if (!digits.empty()) std::memcpy(&value, digits.data(), digits.size());
  PushInt(value);
}

void Machine::ParseInt(absl::string_view line) {
  int64_t value;
  if (line == "00" || line == "01") return PushBool(line == "01");
  if (!absl::SimpleAtoi(line, &value)) {
    return Fail(absl::StrCat("expected an int of 64 bits, got '",
                             absl::CHexEscape(line.substr(0, 40)), "'"));
  }
  PushInt(value);
}

void Machine::ParseLong(absl::string_view line) {
  int64_t value;
  if (!line.empty() && line.back() == 'L') line.remove_suffix(1);
  if (absl::SimpleAtoi(line, &value)) return PushInt(value);
  absl::string_view digits = line;
  const bool negative = absl::ConsumePrefix(&digits, "-");
  if (digits.empty() || digits.size() > kMostDigits ||
      !std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit)) {
    return Fail(absl::StrCat("expected an int of at most ", kMostDigits, " digits, got '",
                             absl::CHexEscape(line.substr(0, 40)), "'"));
  }
  if (!Spend(digits.size() * digits.size())) return;
  // Little-endian two's complement, as the binary opcodes have it. A digit takes under half a byte.
  std::string bytes(digits.size() / 2 + 2, '\0');
  for (const char digit : digits) {
    int carry = digit - '0';
    for (char& byte : bytes) {
      carry += 10 * static_cast<uint8_t>(byte);
      byte = static_cast<char>(carry & 0xff);
      carry >>= 8;
    }
  }
  if (negative) {
    int carry = 1;
    for (char& byte : bytes) {
      carry += static_cast<uint8_t>(~byte);
      byte = static_cast<char>(carry & 0xff);
      carry >>= 8;
    }
  }
  char* copy = arena_->New<char>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), copy);
  PushLong({copy, bytes.size()});
}

void Machine::ParseFloat(absl::string_view line) {
  double value;
  if (!absl::SimpleAtod(line, &value)) {
    return Fail(absl::StrCat("expected a float, got '", absl::CHexEscape(line.substr(0, 40)), "'"));
  }
  PushFloat(value);
}

}  // namespace cmerc::pickle
