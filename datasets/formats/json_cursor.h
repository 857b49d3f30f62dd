// Walks a JSON text (RFC 8259, strictly) from value to value, for a caller who knows what to
// expect. The section "JSON" of docs/dependencies.md says why it is neither simdjson nor Protobuf's
// parser.
#ifndef CMERC_DATASETS_FORMATS_JSON_CURSOR_H_
#define CMERC_DATASETS_FORMATS_JSON_CURSOR_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_field.h"

namespace cmerc::datasets {

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
  // Reads a string: UTF-8, with its escapes resolved.
  bool ReadString(std::string* value);
  // Reads a string, or an integer as its decimal digits; `is_number` tells which.
  bool ReadName(std::string* value, bool* is_number);
  // Reads an array of numbers, finite as float32, and appends them to `values`.
  bool ReadFloats(google::protobuf::RepeatedField<float>* values);
  // Reads a value of any kind, at most 100 levels deep, and sets `json` to its text without line
  // ends and tabs. That keys are unique within it is not checked.
  bool ReadValue(std::string* json);
  // Fails unless nothing but blanks is left.
  bool ReadEnd();

  // Returns whether the next value begins with `first`: '[' for an array, '"' for a string.
  bool NextIs(char first);
  bool NextIsListOfLists();
  // Returns whether the next value is null, or an empty list, and if so moves behind it.
  bool TakeNull();
  bool TakeEmptyList();

  // Sets error() to the place and the problem ("has 3 values, want 4"); returns false.
  bool Fail(absl::string_view problem);

  // "utterances[3].features.text[17] is NaN, want a finite number; ...".
  const std::string& error() const { return error_; }

 private:
  void SkipBlanks();
  bool FailSyntax(absl::string_view expected);
  bool FailEncoding();
  bool FailValue(absl::string_view want);
  // Reads a number that float32 can hold, rounded correctly. Returns false, without moving on,
  // where there is none.
  bool TryFloat(float* value);
  // The fast way for what nearly all features are: up to 15 digits without an exponent, in one
  // pass. Returns false, without moving on, for everything else.
  bool TryShortDecimal(float* value);
  // Reads a key and the colon behind it.
  bool ReadKey(std::string* key);
  // Reads a string, a number, true, false or null.
  bool SkipScalar();
  bool ReadEscape(std::string* value);
  bool ReadHex4(uint32_t* unit);
  // Returns the end of the number that begins here, or npos where JSON's grammar has none.
  size_t NumberEnd() const;

  const absl::string_view text_;
  size_t position_ = 0;
  std::string path_;
  std::string error_;
};

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_FORMATS_JSON_CURSOR_H_
