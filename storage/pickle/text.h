// The text encodings that pickles use.
#ifndef CMERC_STORAGE_PICKLE_TEXT_H_
#define CMERC_STORAGE_PICKLE_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace cmerc::pickle {

// How many bytes at the beginning of `text` are ASCII.
size_t AsciiPrefix(absl::string_view text);

// Returns false when `text` is not UTF-8. Python's pickle also writes lone surrogates, encoded in
// three bytes: they pass, and *surrogates says that there are some.
bool CheckUtf8(absl::string_view text, bool* surrogates);

// Every surrogate of a text that CheckUtf8 passed becomes U+FFFD, in place (three bytes as well).
void ReplaceSurrogates(char* text, size_t size);

// Writes the UTF-8 of a latin-1 text to `out`, which has room for 2 * latin1.size() bytes, and
// returns its size.
size_t Latin1ToUtf8(absl::string_view latin1, char* out);

// How many bytes a valid UTF-8 text of characters up to U+00FF has in latin-1, one per character.
size_t Latin1Size(absl::string_view utf8);

// Writes a text in latin-1 to `out`, which has room for Latin1Size(utf8) + 1 bytes. Returns false
// when `utf8` is malformed or has a character above U+00FF.
bool Utf8ToLatin1(absl::string_view utf8, char* out);

// Converts NumPy's UTF-32, without the NULs that NumPy pads with. Returns false when there is a
// character beyond Unicode.
bool Utf32ToUtf8(absl::string_view utf32, bool big_endian, std::string* utf8);

// Appends a character; what is no Unicode scalar value becomes U+FFFD.
void AppendUtf8(char32_t character, std::string* out);

// Undoes the repr() of a Python 2 str, quotes included, which gives bytes. Returns false when it is
// malformed.
bool UnquoteString(absl::string_view repr, std::string* bytes);

// Converts Python's raw-unicode-escape to UTF-8. Returns false when an escape is malformed.
bool DecodeRawUnicodeEscape(absl::string_view text, std::string* utf8);

}  // namespace cmerc::pickle

#endif  // CMERC_STORAGE_PICKLE_TEXT_H_
