// UTF-8 (RFC 3629).
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

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_FORMATS_UTF8_H_
