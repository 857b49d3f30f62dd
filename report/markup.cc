#include "report/markup.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace cmerc::report {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the character that `text` begins with, 0 when XML 1.0 does not allow it or it is not
// UTF-8.
size_t CharacterSize(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return first >= 0x20 || first == '\t' || first == '\n' || first == '\r' ? 1 : 0;
  const size_t size = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < size) return 0;
  uint32_t character = first & (0x7F >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    character = character << 6 | (byte(i) & 0x3F);
  }
  const bool overlong = (size == 3 && character < 0x800) || (size == 4 && character < 0x10000);
  const bool forbidden = (character >= 0xD800 && character <= 0xDFFF) || character > 0x10FFFF ||
                         character == 0xFFFE || character == 0xFFFF;
  return overlong || forbidden ? 0 : size;
}

}  // namespace

std::string EscapeXml(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t size = CharacterSize(text);
    switch (text[0]) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (size == 0) {
          out += kReplacement;
        } else {
          out.append(text.data(), size);
        }
    }
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

void Markup::Tag(absl::string_view tag, const Attributes& attributes, absl::string_view end) {
  absl::StrAppend(&out_, "<", tag);
  for (const auto& [name, value] : attributes) {
    absl::StrAppend(&out_, " ", name, "=\"", EscapeXml(value), "\"");
  }
  absl::StrAppend(&out_, end);
}

Markup& Markup::Open(absl::string_view tag, const Attributes& attributes) {
  Tag(tag, attributes, ">");
  open_.emplace_back(tag);
  return *this;
}

Markup& Markup::Close() {
  absl::StrAppend(&out_, "</", open_.back(), ">\n");
  open_.pop_back();
  return *this;
}

Markup& Markup::Element(absl::string_view tag, const Attributes& attributes,
                        absl::string_view text) {
  return Open(tag, attributes).Text(text).Close();
}

Markup& Markup::Empty(absl::string_view tag, const Attributes& attributes) {
  Tag(tag, attributes, "/>\n");
  return *this;
}

Markup& Markup::Text(absl::string_view text) {
  out_ += EscapeXml(text);
  return *this;
}

Markup& Markup::Append(const std::string& finished) {
  out_ += finished;
  return *this;
}

std::string Markup::Finish() {
  while (!open_.empty()) Close();
  return out_;
}

}  // namespace cmerc::report
