// Pickles of small Python values, for tests: Pickle(Tuple({Dict({{Text("a"), Number(1)}}), ...})).
#ifndef CMERC_TESTS_DATASETS_OFFICIAL_PYTHON_VALUES_H_
#define CMERC_TESTS_DATASETS_OFFICIAL_PYTHON_VALUES_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace cmerc::python {

// The opcodes of a value, in protocol 0.
struct Value {
  std::string opcodes;
};

inline Value None() { return {"N"}; }
inline Value Number(int64_t value) { return {absl::StrCat("I", value, "\n")}; }
inline Value Real(double value) { return {absl::StrCat("F", value, "\n")}; }
// ASCII without a backslash or a line end.
inline Value Text(const std::string& value) { return {absl::StrCat("V", value, "\n")}; }

inline Value Sequence(const std::vector<Value>& items, char kind) {
  std::string opcodes = "(";
  for (const Value& item : items) opcodes += item.opcodes;
  return {opcodes + kind};
}
inline Value List(const std::vector<Value>& items) { return Sequence(items, 'l'); }
inline Value Tuple(const std::vector<Value>& items) { return Sequence(items, 't'); }
inline Value Set(const std::vector<Value>& items) {
  return {"c__builtin__\nset\n(" + List(items).opcodes + "tR"};
}
inline Value Dict(const std::vector<std::pair<Value, Value>>& entries) {
  std::string opcodes = "(";
  for (const auto& [key, value] : entries) opcodes += key.opcodes + value.opcodes;
  return {opcodes + "d"};
}

inline Value Texts(const std::vector<std::string>& values) {
  std::vector<Value> items;
  for (const std::string& value : values) items.push_back(Text(value));
  return List(items);
}
inline Value Numbers(const std::vector<int64_t>& values) {
  std::vector<Value> items;
  for (const int64_t value : values) items.push_back(Number(value));
  return List(items);
}

inline std::string Pickle(const Value& value) { return value.opcodes + "."; }

}  // namespace cmerc::python

#endif  // CMERC_TESTS_DATASETS_OFFICIAL_PYTHON_VALUES_H_
