#include "storage/pickle/text.h"

#include <cstdint>
#include <cstring>

namespace cmerc::pickle {
namespace {

constexpr uint64_t kHighBits = 0x8080808080808080;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Reads exactly n hexadecimal digits at text[at].
bool ReadHex(absl::string_view text, size_t at, size_t n, char32_t* value) {
  if (text.size() < at + n) return false;
  *value = 0;
  for (size_t i = 0; i < n; ++i) {
    const int digit = HexDigit(text[at + i]);
    if (digit < 0) return false;
    *value = *value << 4 | static_cast<char32_t>(digit);
  }
  return true;
}

// Length of the UTF-8 sequence at text[at], which is not ASCII; 0 when there is none.
size_t SequenceLength(absl::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const size_t left = text.size() - at;
  if (byte(0) >= 0xC2 && byte(0) <= 0xDF) return left >= 2 && continues(1) ? 2 : 0;
  if ((byte(0) & 0xF0) == 0xE0) {
    if (left < 3 || !continues(1) || !continues(2)) return 0;
    return byte(0) == 0xE0 && byte(1) < 0xA0 ? 0 : 3;
  }
  if (byte(0) >= 0xF0 && byte(0) <= 0xF4) {
    if (left < 4 || !continues(1) || !continues(2) || !continues(3)) return 0;
    if (byte(0) == 0xF0 && byte(1) < 0x90) return 0;
    return byte(0) == 0xF4 && byte(1) >= 0x90 ? 0 : 4;
  }
  return 0;
}

}  // namespace

size_t AsciiPrefix(absl::string_view text) {
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if ((word & kHighBits) != 0) break;
  }
  while (i < text.size() && static_cast<uint8_t>(text[i]) < 0x80) ++i;
  return i;
}

bool CheckUtf8(absl::string_view text, bool* surrogates) {
  *surrogates = false;
  size_t at = 0;
  while (true) {
    at += AsciiPrefix(text.substr(at));
    if (at == text.size()) return true;
    const size_t length = SequenceLength(text, at);
    if (length == 0) return false;
    if (static_cast<uint8_t>(text[at]) == 0xED && static_cast<uint8_t>(text[at + 1]) >= 0xA0) {
      *surrogates = true;
    }
    at += length;
  }
}

void ReplaceSurrogates(char* text, size_t size) {
  for (size_t at = 0; at + 3 <= size; ++at) {
    // 0xED starts only three-byte sequences, and is never a continuation.
    if (static_cast<uint8_t>(text[at]) == 0xED && static_cast<uint8_t>(text[at + 1]) >= 0xA0) {
      std::memcpy(text + at, "\xEF\xBF\xBD", 3);
    }
  }
}

size_t Latin1ToUtf8(absl::string_view latin1, char* out) {
  char* const begin = out;
  for (const char c : latin1) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80) {
      *out++ = c;
    } else {
      *out++ = static_cast<char>(0xC0 | byte >> 6);
      *out++ = static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return out - begin;
}

size_t Latin1Size(absl::string_view utf8) {
  size_t leads = 0, i = 0;
  for (; i + 8 <= utf8.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, utf8.data() + i, 8);
    leads += static_cast<size_t>(__builtin_popcountll(word & word << 1 & kHighBits));
  }
  for (; i < utf8.size(); ++i) leads += static_cast<uint8_t>(utf8[i]) >= 0xC0 ? 1 : 0;
  return utf8.size() - leads;
}

bool Utf8ToLatin1(absl::string_view utf8, char* out) {
  // Half of an array's bytes are above 0x7F, at random: branches would be mispredicted, and waiting
  // for each length before the next load is slow. So each byte looks at the one before it, in bit
  // arithmetic only: a lead byte writes what its continuation then overwrites.
  uint32_t bad = 0, previous = 0, previous_lead = 0;
  for (const char c : utf8) {
    const uint32_t byte = static_cast<uint8_t>(c);
    const uint32_t high = byte >> 7;
    const uint32_t lead = byte >> 6 & high & 1;
    const uint32_t joined = previous << 6 | (byte & 0x3F);
    *out = static_cast<char>(byte ^ ((joined ^ byte) & (0 - high)));
    bad |= (byte ^ 0xC2) & 0xFE & (0 - lead);  // a lead other than C2 and C3
    bad |= (high ^ lead) ^ previous_lead;      // a continuation if and only if after a lead
    out += lead ^ 1;
    previous = byte;
    previous_lead = lead;
  }
  return bad == 0 && previous_lead == 0;
}

bool Utf32ToUtf8(absl::string_view utf32, bool big_endian, std::string* utf8) {
  size_t n = utf32.size() / 4;
  const auto character = [&](size_t i) {
    uint32_t value;
    std::memcpy(&value, utf32.data() + 4 * i, 4);
    return big_endian ? __builtin_bswap32(value) : value;
  };
  while (n > 0 && character(n - 1) == 0) --n;
  for (size_t i = 0; i < n; ++i) {
    if (character(i) > 0x10FFFF) return false;
    AppendUtf8(character(i), utf8);
  }
  return true;
}

void AppendUtf8(char32_t character, std::string* out) {
  if (character > 0x10FFFF || (character >= 0xD800 && character < 0xE000)) character = 0xFFFD;
  const auto tail = [&](int shift) {
    out->push_back(static_cast<char>(0x80 | (character >> shift & 0x3F)));
  };
  if (character < 0x80) {
    out->push_back(static_cast<char>(character));
  } else if (character < 0x800) {
    out->push_back(static_cast<char>(0xC0 | character >> 6));
    tail(0);
  } else if (character < 0x10000) {
    out->push_back(static_cast<char>(0xE0 | character >> 12));
    tail(6), tail(0);
  } else {
    out->push_back(static_cast<char>(0xF0 | character >> 18));
    tail(12), tail(6), tail(0);
  }
}

bool UnquoteString(absl::string_view repr, std::string* bytes) {
  if (repr.size() < 2 || (repr[0] != '\'' && repr[0] != '"') || repr.back() != repr[0]) {
    return false;
  }
  const absl::string_view text = repr.substr(1, repr.size() - 2);
  bytes->reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes->push_back(text[i]);
      continue;
    }
    if (++i == text.size()) return false;
    static constexpr char kEscapes[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
    const char c = text[i];
    if (c == 'x') {
      char32_t value;
      if (!ReadHex(text, i + 1, 2, &value)) return false;
      bytes->push_back(static_cast<char>(value));
      i += 2;
    } else if (c >= '0' && c <= '7') {
      unsigned value = 0;
      size_t digits = 0;
      for (; digits < 3 && i < text.size() && text[i] >= '0' && text[i] <= '7'; ++digits, ++i) {
        value = value * 8 + static_cast<unsigned>(text[i] - '0');
      }
      --i;
      bytes->push_back(static_cast<char>(value));
    } else {
      size_t e = 0;
      while (e + 1 < sizeof(kEscapes) && kEscapes[e] != c) e += 2;
      if (e + 1 < sizeof(kEscapes)) {
        bytes->push_back(kEscapes[e + 1]);
      } else {  // Python keeps what it does not know
        bytes->push_back('\\');
        bytes->push_back(c);
      }
    }
  }
  return true;
}

bool DecodeRawUnicodeEscape(absl::string_view text, std::string* utf8) {
  utf8->reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      AppendUtf8(static_cast<uint8_t>(text[i]), utf8);
      continue;
    }
    const char c = text[++i];
    if (c != 'u' && c != 'U') {
      utf8->push_back('\\');
      AppendUtf8(static_cast<uint8_t>(c), utf8);
      continue;
    }
    const size_t digits = c == 'u' ? 4 : 8;
    char32_t value, low;
    if (!ReadHex(text, i + 1, digits, &value) || value > 0x10FFFF) return false;
    i += digits;
    // Python 2 with two-byte characters writes a pair of surrogates.
    if (value >= 0xD800 && value < 0xDC00 && text.substr(i + 1, 2) == "\\u" &&
        ReadHex(text, i + 3, 4, &low) && low >= 0xDC00 && low < 0xE000) {
      value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
      i += 6;
    }
    AppendUtf8(value, utf8);
  }
  return true;
}

}  // namespace cmerc::pickle
