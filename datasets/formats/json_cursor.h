// Walks a JSON text (RFC 8259, strictly) from value to value, for a caller who knows what it
// expects. Protobuf's parser is no choice for lines of half a million numbers:
// docs/dependencies.md.
#ifndef CMERC_DATASETS_FORMATS_JSON_CURSOR_H_
#define CMERC_DATASETS_FORMATS_JSON_CURSOR_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_field.h"

namespace cmerc {

// Reads one value after the other. Each Read function returns whether the value was there and of
// its kind; after the first that was not, error() says what is wrong and nothing more can be read.
// Nothing recurses but the callbacks, so that the caller bounds the depth.
class JsonCursor {
 public:
  // `text` must outlive this.
  explicit JsonCursor(absl::string_view text) : text_(text) {}

  // Calls `read_member` with each key, for it to read the value and to return whether it could. A
  // key that occurs twice is an error.
  bool ReadObject(absl::FunctionRef<bool(const std::string& key)> read_member);
  // Calls `read_element` before each element, for it to read it.
  bool ReadArray(absl::FunctionRef<bool(int64_t index)> read_element);
  // UTF-8, escapes resolved.
  bool ReadString(std::string* value);
  // A string, or an integer as its decimal digits; then `is_number` is true.
  bool ReadName(std::string* value, bool* is_number);
  // An array of numbers, finite as float32, appended to `values`.
  bool ReadFloats(google::protobuf::RepeatedField<float>* values);
  // Nothing but blanks is left.
  bool ReadEnd();

  // Whether the next value begins with this character: '[' of an array, '"' of a string.
  bool NextIs(char first);
  bool NextIsListOfLists();

  // Sets error() to the place and the problem ("has 3 values, want 4"); returns false.
  bool Fail(absl::string_view problem);

  // "utterances[3].features.text[17] is NaN, want a finite number; ...".
  const std::string& error() const { return error_; }

 private:
  void SkipBlanks();
  bool FailSyntax(absl::string_view expected);
  bool FailValue(absl::string_view want);
  // Moves on only where a number is there that float32 can hold.
  bool TryFloat(float* value);
  bool ReadEscape(std::string* value);
  bool ReadHex4(uint32_t* unit);
  // The end of the number that begins here, or npos where there is none by JSON's grammar.
  size_t NumberEnd() const;

  const absl::string_view text_;
  size_t position_ = 0;
  std::string path_;
  std::string error_;
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_JSON_CURSOR_H_
