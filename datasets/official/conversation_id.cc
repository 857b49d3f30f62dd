#include "datasets/official/conversation_id.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/status.h"

namespace cmerc::datasets {
namespace {

using pickle::Kind;
using pickle::Value;

// How many ids of a list a message names.
constexpr size_t kNamed = 5;

ConversationId NumericId(int64_t number) { return {absl::StrCat(number), true, number}; }

bool IsText(const Value& value) {
  const char kind = value.dtype().kind;
  return value.kind() == Kind::kString || value.kind() == Kind::kBytes ||
         (value.kind() == Kind::kArray && (kind == 'U' || kind == 'S'));
}

absl::StatusOr<std::vector<ConversationId>> IdsOfArray(const pickle::Document& document,
                                                       const Value& array, Budget* budget) {
  if (array.shape().size() != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("is ", Describe(array), ", want a list", HowToConvert(array)));
  }
  std::vector<ConversationId> ids;
  if (IsText(array)) {
    ASSIGN_OR_RETURN(std::vector<std::string> texts, document.Texts(array));
    RETURN_IF_ERROR(budget->Spend(texts));
    for (std::string& text : texts) ids.push_back({std::move(text), false, 0});
    return ids;
  }
  RETURN_IF_ERROR(document.NumbersShape(array).status());
  RETURN_IF_ERROR(budget->Spend(array.num_elements(), sizeof(int64_t)));
  std::vector<int64_t> numbers(array.num_elements());
  RETURN_IF_ERROR(document.CopyNumbers(array, absl::MakeSpan(numbers)));
  for (const int64_t number : numbers) ids.push_back(NumericId(number));
  return ids;
}

}  // namespace

std::string ConversationId::ToString() const {
  return numeric ? text : absl::StrCat("'", absl::Utf8SafeCEscape(text), "'");
}

bool operator<(const ConversationId& a, const ConversationId& b) {
  return std::make_tuple(!a.numeric, a.number, absl::string_view(a.text)) <
         std::make_tuple(!b.numeric, b.number, absl::string_view(b.text));
}

bool operator==(const ConversationId& a, const ConversationId& b) {
  return a.numeric == b.numeric && a.text == b.text;
}

absl::StatusOr<ConversationId> ReadId(const pickle::Document& document, const Value& value,
                                      Budget* budget) {
  RETURN_IF_ERROR(budget->Spend(1, sizeof(ConversationId)));
  if (IsText(value)) {
    ASSIGN_OR_RETURN(const absl::string_view text, document.Text(value));
    RETURN_IF_ERROR(budget->Spend(static_cast<int64_t>(text.size()), 1));
    return ConversationId{std::string(text), false, 0};
  }
  ASSIGN_OR_RETURN(const int64_t number, document.Int(value));
  return NumericId(number);
}

absl::StatusOr<std::vector<ConversationId>> ReadIds(const pickle::Document& document,
                                                    const Value& value, Budget* budget) {
  if (value.kind() == Kind::kArray && value.dtype().kind != 'O') {
    return IdsOfArray(document, value, budget);
  }
  std::vector<ConversationId> ids;
  absl::Span<const Value* const> items = value.keys();
  if (value.kind() != Kind::kDict) {
    ASSIGN_OR_RETURN(items, document.Sequence(value));
  }
  for (const Value* item : items) {
    ASSIGN_OR_RETURN(ConversationId id, ReadId(document, *item, budget));
    ids.push_back(std::move(id));
  }
  // A set has no order of its own, and the one it is written in differs between runs of Python.
  if (value.kind() == Kind::kSet) std::sort(ids.begin(), ids.end());
  return ids;
}

const Value* FindById(const Value& dict, const ConversationId& id) {
  return id.numeric ? dict.Find(id.number) : dict.Find(absl::string_view(id.text));
}

std::string SomeIds(const std::vector<ConversationId>& ids) {
  std::string text;
  for (size_t i = 0; i < std::min(ids.size(), kNamed); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ", ids[i].ToString());
  }
  if (ids.size() > kNamed) absl::StrAppend(&text, " and ", ids.size() - kNamed, " more");
  return text;
}

}  // namespace cmerc::datasets
