// Text that files and users give (names of classes, modalities, variants, ids), made safe for where
// it is shown.
#ifndef CMERC_CORE_PRINTABLE_H_
#define CMERC_CORE_PRINTABLE_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace cmerc {

// For a message: control characters but newline and tab are spelled out ("\x1b"), so that a name
// cannot control the terminal.
std::string Printable(absl::string_view text);

// For a line, or a cell of a table in text: newlines and tabs are spelled out too ("\n", "\t").
std::string OneLine(absl::string_view text);

// How many columns a terminal needs for text in UTF-8 whose characters take one each.
size_t Columns(absl::string_view text);

// A field of a CSV file (RFC 4180): in quotes, with quotes doubled. One that begins with = + - @, a
// tab or a carriage return, which a spreadsheet would take for a formula, gets a ' in front.
std::string CsvField(absl::string_view text);

// A cell of a Markdown table: on one line, with | and \ escaped.
std::string MarkdownCell(absl::string_view text);

}  // namespace cmerc

#endif  // CMERC_CORE_PRINTABLE_H_
