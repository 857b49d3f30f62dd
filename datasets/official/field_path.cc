#include "datasets/official/field_path.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace cmerc::datasets {
namespace {

using pickle::Kind;
using pickle::Value;

// Whether `part` is a number without a sign.
bool IsNumber(absl::string_view part, int64_t* number) {
  return std::all_of(part.begin(), part.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(part, number);
}

// Returns what one part of a path leads to, nullptr where that is nothing.
const Value* Step(const Value& value, absl::string_view part) {
  int64_t number = 0;
  const bool is_number = IsNumber(part, &number);
  if (value.kind() == Kind::kDict) {
    const Value* found = value.Find(part);
    return found == nullptr && is_number ? value.Find(number) : found;
  }
  if (value.kind() != Kind::kList && value.kind() != Kind::kTuple) return nullptr;
  const auto size = static_cast<int64_t>(value.items().size());
  return is_number && number < size ? value.items()[number] : nullptr;
}

// Returns "[3]" or "[\"train\"]".
std::string StepName(const Value* value, absl::string_view part) {
  int64_t number = 0;
  const bool is_position =
      IsNumber(part, &number) &&
      (value == nullptr || value->kind() != Kind::kDict || value->Find(part) == nullptr);
  return is_position ? absl::StrCat("[", number, "]")
                     : absl::StrCat("[\"", absl::Utf8SafeCEscape(part), "\"]");
}

}  // namespace

const Value* FindField(const Value& root, absl::string_view path) {
  const Value* value = &root;
  while (value != nullptr) {
    if (const Value* found = Step(*value, path)) return found;
    const size_t slash = path.find('/');
    if (slash == absl::string_view::npos) return nullptr;
    value = Step(*value, path.substr(0, slash));
    path.remove_prefix(slash + 1);
  }
  return nullptr;
}

std::string FieldName(const Value& root, absl::string_view path, absl::string_view name) {
  std::string result(name);
  const Value* value = &root;
  while (value == nullptr || Step(*value, path) == nullptr) {
    const size_t slash = path.find('/');
    if (slash == absl::string_view::npos) break;
    absl::StrAppend(&result, StepName(value, path.substr(0, slash)));
    if (value != nullptr) value = Step(*value, path.substr(0, slash));
    path.remove_prefix(slash + 1);
  }
  return absl::StrCat(result, StepName(value, path));
}

}  // namespace cmerc::datasets
