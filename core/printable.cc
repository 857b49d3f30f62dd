#include "core/printable.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace cmerc {

std::string Printable(absl::string_view text) {
  std::string printable;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    const auto next = static_cast<uint8_t>(i + 1 < text.size() ? text[i + 1] : 0);
    if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {  // U+0080 to U+009F
      absl::StrAppendFormat(&printable, "\\u%04x", next);
      ++i;
    } else if (byte == 0x7F || (byte < 0x20 && byte != '\n' && byte != '\t')) {
      absl::StrAppendFormat(&printable, "\\x%02x", byte);
    } else {
      printable.push_back(text[i]);
    }
  }
  return printable;
}

std::string OneLine(absl::string_view text) {
  return absl::StrReplaceAll(Printable(text), {{"\n", "\\n"}, {"\t", "\\t"}});
}

size_t Columns(absl::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

std::string CsvField(absl::string_view text) {
  const bool is_formula = !text.empty() && absl::StrContains("=+-@\t\r", text.substr(0, 1));
  return absl::StrCat("\"", is_formula ? "'" : "", absl::StrReplaceAll(text, {{"\"", "\"\""}}),
                      "\"");
}

std::string MarkdownCell(absl::string_view text) {
  return OneLine(absl::StrReplaceAll(text, {{"|", "\\|"}, {"\\", "\\\\"}}));
}

}  // namespace cmerc
