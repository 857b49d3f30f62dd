// The text encodings that pickles use.
#ifndef CMERC_STORAGE_PICKLE_TEXT_H_
#define CMERC_STORAGE_PICKLE_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace cmerc::pickle {

// Number of leading bytes that are ASCII.
size_t AsciiPrefix(absl::string_view text);

// False when `text` is not UTF-8. Python's pickle also writes lone surrogates, encoded in three
// bytes: they pass, and *surrogates says that there are some.
bool CheckUtf8(absl::string_view text, bool* surrogates);

// Every surrogate of a text that CheckUtf8 passed becomes U+FFFD, in place (three bytes as well).
void ReplaceSurrogates(char* text, size_t size);

// out: room for 2 * latin1.size() bytes. The size of the UTF-8.
size_t Latin1ToUtf8(absl::string_view latin1, char* out);

// Characters of a valid UTF-8 text of characters up to U+00FF, which is its size in latin-1.
size_t Latin1Size(absl::string_view utf8);

// out: room for Latin1Size(utf8) + 1 bytes. False when `utf8` is malformed or has a character above
// U+00FF.
bool Utf8ToLatin1(absl::string_view utf8, char* out);

// Drops the NULs that NumPy pads with. False when there is a character beyond Unicode.
bool Utf32ToUtf8(absl::string_view utf32, bool big_endian, std::string* utf8);

// U+FFFD for what is not a Unicode scalar value.
void AppendUtf8(char32_t character, std::string* out);

// Undoes the repr() of a Python 2 str, quotes included: bytes. False when it is malformed.
bool UnquoteString(absl::string_view repr, std::string* bytes);

// Python's raw-unicode-escape, to UTF-8. False when an escape is malformed.
bool DecodeRawUnicodeEscape(absl::string_view text, std::string* utf8);

}  // namespace cmerc::pickle

#endif  // CMERC_STORAGE_PICKLE_TEXT_H_
