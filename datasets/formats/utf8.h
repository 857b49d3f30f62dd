// UTF-8 (RFC 3629), and what text is that is none.
#ifndef CMERC_DATASETS_FORMATS_UTF8_H_
#define CMERC_DATASETS_FORMATS_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace cmerc::datasets {

// Returns the length in bytes of the character that `text`, which is not empty, begins with; 0
// where it is no UTF-8: too short, longer than it need be, a surrogate, or beyond U+10FFFF.
size_t Utf8Length(absl::string_view text);

// Whether all of `text` is UTF-8.
bool IsUtf8(absl::string_view text);

// Appends the character of a code point, at most 0x10FFFF.
void AppendUtf8(uint32_t code, std::string* out);

// Returns the code point that a byte is in Windows-1252; 0 where it is none there.
uint32_t Windows1252(uint8_t byte);

// Returns the text as UTF-8 where it may be Windows-1252, as Excel and older programs of Windows
// write: it has a byte above 127, all of them are something there, and none of them begin a
// character of UTF-8 that takes several. Empty where it may not be.
std::string FromWindows1252(absl::string_view text);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_FORMATS_UTF8_H_
