#include "datasets/official/field_sight.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"
#include "datasets/official/conversation_id.h"

namespace cmerc::datasets {
namespace {

using pickle::Kind;
using pickle::Value;
using SightKind = FieldSight::Kind;

constexpr size_t kShown = 3;            // values in a description
constexpr size_t kLongestText = 30;     // bytes of a text in a description
constexpr int64_t kMostEntries = 1000;  // utterances that are looked at
constexpr int64_t kWidestOneHot = 512;
constexpr int64_t kMostNumbers = 1 << 15;  // of a value that is read

bool IsText(const Value& value) {
  const char kind = value.dtype().kind;
  return value.kind() == Kind::kString || value.kind() == Kind::kBytes ||
         (value.kind() == Kind::kArray && value.shape().empty() && (kind == 'U' || kind == 'S'));
}

bool IsNumber(const Value& value) {
  constexpr absl::string_view kNumeric = "biuf";
  return value.kind() == Kind::kInt || value.kind() == Kind::kBool ||
         value.kind() == Kind::kFloat ||
         (value.kind() == Kind::kArray && value.shape().empty() &&
          absl::StrContains(kNumeric, value.dtype().kind));
}

bool IsSequence(const Value& value) {
  return value.kind() == Kind::kList || value.kind() == Kind::kTuple ||
         (value.kind() == Kind::kArray && value.dtype().kind == 'O');
}

bool IsNumericArray(const Value& value) {
  const char kind = value.dtype().kind;
  return value.kind() == Kind::kArray && kind != 'O' && kind != 'U' && kind != 'S';
}

std::string Short(absl::string_view text) {
  return absl::StrCat("'", absl::Utf8SafeCHexEscape(text.substr(0, kLongestText)),
                      text.size() > kLongestText ? "...'" : "'");
}

std::string Number(double value) { return absl::StrFormat("%.4g", value); }

// Returns the numbers of an array or of nested lists; none where they are too many or no numbers.
std::vector<double> Numbers(const pickle::Document& document, const Value& value) {
  const absl::StatusOr<std::vector<int64_t>> shape = document.NumbersShape(value);
  if (!shape.ok()) return {};
  int64_t count = 1;
  for (const int64_t size : *shape) {
    count *= size;
    if (count > kMostNumbers) return {};
  }
  std::vector<double> numbers(count);
  if (!document.CopyNumbers(value, absl::MakeSpan(numbers)).ok()) return {};
  return numbers;
}

bool IsOneHot(absl::Span<const double> row) {
  return row.size() > 1 && std::count(row.begin(), row.end(), 1) == 1 &&
         std::count(row.begin(), row.end(), 0) == static_cast<int64_t>(row.size()) - 1;
}

int64_t WordsOf(absl::string_view text) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
  return static_cast<int64_t>(words.size());
}

// Returns an id or another short value.
std::string ShortValue(const Value& value) {
  if (value.kind() == Kind::kString) return Short(value.string());
  if (value.kind() == Kind::kInt) return absl::StrCat(value.int_value());
  return Describe(value);
}

// Looks at one conversation after the other.
class Looker {
 public:
  Looker(const pickle::Document& document, std::string path) : document_(document) {
    sight_.path = std::move(path);
  }

  void Look(const Value& conversation) {
    if (conversation.is_none()) return;
    if (IsText(conversation) || IsNumber(conversation)) {
      See(SightKind::kPerConversation);
      return Show(ShortValue(conversation));
    }
    if (conversation.kind() == Kind::kArray && conversation.dtype().kind != 'O') {
      return LookAtArray(conversation);
    }
    if (!IsSequence(conversation)) return See(SightKind::kOther);
    sight_.lengths.push_back(static_cast<int64_t>(conversation.items().size()));
    for (const Value* entry : conversation.items()) {
      if (SeenEnough()) return;
      LookAtEntry(*entry);
    }
  }

  // Returns what was seen; `what` is without the container.
  FieldSight Finish() {
    if (kinds_.count(SightKind::kReals) > 0) kinds_.erase(SightKind::kNumbers);
    if (kinds_.count(SightKind::kVectors) > 0) kinds_.erase(SightKind::kOneHot);
    sight_.kind = kinds_.empty()       ? SightKind::kNothing
                  : kinds_.size() == 1 ? *kinds_.begin()
                                       : SightKind::kOther;
    sight_.width = widths_.empty() ? 0 : *widths_.begin();
    if (sight_.kind == SightKind::kVectors && widths_.size() > 1) sight_.kind = SightKind::kFrames;
    sight_.integral = read_vectors_ > 0 && all_integral_;
    sight_.distinct = static_cast<int64_t>(texts_.empty() ? numbers_.size() : texts_.size());
    sight_.smallest = numbers_.empty() ? 0 : *numbers_.begin();
    sight_.what = What();
    return std::move(sight_);
  }

 private:
  void See(SightKind kind) { kinds_.insert(kind); }
  // Objects may be shared, and rows be empty: a small file may have any number.
  bool SeenEnough() const { return sight_.entries >= kMostEntries; }
  void Show(const std::string& example) {
    if (examples_.size() < kShown) examples_.push_back(example);
  }

  void LookAtArray(const Value& array) {
    const absl::Span<const int64_t> shape = array.shape();
    if (shape.empty() || shape.size() > 2) return See(SightKind::kFrames);
    sight_.lengths.push_back(shape[0]);
    const char kind = array.dtype().kind;
    if (kind == 'U' || kind == 'S') {
      const absl::StatusOr<std::vector<std::string>> texts = document_.Texts(array);
      if (!texts.ok()) return See(SightKind::kOther);
      for (size_t i = 0; i < texts->size() && !SeenEnough(); ++i) LookAtText((*texts)[i]);
      return;
    }
    const std::vector<double> numbers = Numbers(document_, array);
    if (shape.size() == 1) {
      for (const double number : numbers) LookAtNumber(number);
      if (numbers.empty() && shape[0] > 0) See(SightKind::kReals);
      return;
    }
    for (int64_t i = 0; i < shape[0] && !SeenEnough(); ++i) {
      LookAtVector(shape[1], numbers.empty()
                                 ? absl::Span<const double>()
                                 : absl::MakeConstSpan(numbers).subspan(i * shape[1], shape[1]));
    }
  }

  void LookAtEntry(const Value& entry) {
    if (entry.is_none()) return;
    if (IsText(entry)) {
      const absl::StatusOr<absl::string_view> text = document_.Text(entry);
      return text.ok() ? LookAtText(*text) : See(SightKind::kOther);
    }
    if (IsNumber(entry)) {
      const absl::StatusOr<double> number = document_.Number(entry);
      return number.ok() ? LookAtNumber(*number) : See(SightKind::kOther);
    }
    if (IsSequence(entry) && !entry.items().empty() && IsText(*entry.items()[0])) {
      ++sight_.entries;
      Show(absl::StrCat("[", ShortValue(*entry.items()[0]), ", ...]"));
      return See(SightKind::kTokens);
    }
    if (!IsSequence(entry) && entry.kind() != Kind::kArray) return See(SightKind::kOther);
    const absl::StatusOr<std::vector<int64_t>> shape = document_.NumbersShape(entry);
    if (!shape.ok()) return See(SightKind::kOther);
    if (shape->size() != 1) {
      Show(Describe(entry));
      return See(SightKind::kFrames);
    }
    // A vector that is no one-hot row is not read again and again: all that matters is known.
    const bool read = read_vectors_ < 2 || all_one_hot_ || all_integral_;
    LookAtVector((*shape)[0], read ? Numbers(document_, entry) : std::vector<double>());
  }

  void LookAtText(absl::string_view text) {
    ++sight_.entries;
    sight_.words += WordsOf(text);
    See(SightKind::kTexts);
    Show(Short(text));
    texts_.insert(std::string(text));
  }

  void LookAtNumber(double number) {
    if (std::isnan(number)) return;  // pandas' word for nothing
    ++sight_.entries;
    See(number == std::trunc(number) ? SightKind::kNumbers : SightKind::kReals);
    Show(Number(number));
    if (std::isfinite(number)) numbers_.insert(number);
  }

  void LookAtVector(int64_t width, absl::Span<const double> row) {
    ++sight_.entries;
    widths_.insert(width);
    if (!row.empty()) {
      ++read_vectors_;
      all_one_hot_ = all_one_hot_ && width <= kWidestOneHot && IsOneHot(row);
      all_integral_ = all_integral_ && std::all_of(row.begin(), row.end(),
                                                   [](double v) { return v == std::trunc(v); });
      for (size_t i = 0; i < std::min(row.size(), kShown); ++i) Show(Number(row[i]));
    }
    See(read_vectors_ > 0 && all_one_hot_ ? SightKind::kOneHot : SightKind::kVectors);
  }

  std::string What() const {
    const std::string examples =
        examples_.empty() ? "" : absl::StrCat(" (", absl::StrJoin(examples_, ", "), ", ...)");
    switch (sight_.kind) {
      case SightKind::kNothing:
        return "nothing";
      case SightKind::kTexts:
        return absl::StrCat("a text", examples);
      case SightKind::kTokens:
        return absl::StrCat("a list of texts", examples);
      case SightKind::kNumbers:
        return absl::StrCat("an integer", examples);
      case SightKind::kReals:
        return absl::StrCat("a number", examples);
      case SightKind::kOneHot:
        return absl::StrCat("a one-hot row of ", sight_.width, examples);
      case SightKind::kVectors:
        return absl::StrCat("a vector of ", sight_.width, examples);
      case SightKind::kFrames:
        return absl::StrCat("a matrix, or vectors of unequal widths", examples);
      case SightKind::kPerConversation:
        return absl::StrCat("one value", examples);
      case SightKind::kOther:
        return absl::StrCat("something else", examples);
    }
    return "";
  }

  const pickle::Document& document_;
  FieldSight sight_;
  std::set<SightKind> kinds_;
  std::set<int64_t> widths_;
  std::set<std::string> texts_;
  std::set<double> numbers_;
  std::vector<std::string> examples_;
  int64_t read_vectors_ = 0;
  bool all_one_hot_ = true;
  bool all_integral_ = true;
};

// Says what a field is and what it holds of each conversation.
std::string Sentence(const std::string& container, const FieldSight& sight) {
  const bool per_conversation = sight.kind == SightKind::kPerConversation;
  return absl::StrCat(container, container.empty() ? "" : ", ",
                      per_conversation ? "per conversation " : "per utterance ", sight.what);
}

}  // namespace

FieldSight SightOf(const pickle::Document& document, const std::string& path, const Value& field,
                   size_t most_conversations) {
  Looker looker(document, path);
  if (field.kind() != Kind::kDict) {
    FieldSight sight = looker.Finish();
    sight.kind = field.is_none() ? SightKind::kNothing : SightKind::kOther;
    sight.what = Glance(field);
    return sight;
  }
  const absl::Span<const Value* const> conversations = field.values();
  for (size_t i = 0; i < std::min(conversations.size(), most_conversations); ++i) {
    looker.Look(*conversations[i]);
  }
  FieldSight sight = looker.Finish();
  sight.what = Sentence(Glance(field), sight);
  return sight;
}

FieldSight SightOf(const pickle::Document& document, const std::string& path,
                   const std::vector<const Value*>& conversations) {
  Looker looker(document, path);
  for (const Value* conversation : conversations) {
    if (conversation != nullptr) looker.Look(*conversation);
  }
  FieldSight sight = looker.Finish();
  sight.what = Sentence("", sight);
  return sight;
}

std::string Glance(const Value& value) {
  const bool is_dict = value.kind() == Kind::kDict;
  const absl::Span<const Value* const> items = is_dict ? value.keys() : value.items();
  std::string text = Describe(value);
  if (items.empty()) return text;
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(items.size(), kShown); ++i) {
    shown.push_back(ShortValue(*items[i]));
  }
  return absl::StrCat(text, " (", absl::StrJoin(shown, ", "),
                      items.size() > kShown ? ", ...)" : ")");
}

const Value* FirstEntry(const Value& field) {
  int64_t visits = 0;  // conversations may be one object
  for (const Value* conversation : field.values()) {
    for (const Value* entry : conversation->items()) {
      if (!entry->is_none() || ++visits == kMostEntries) return entry;
    }
  }
  return nullptr;
}

bool HoldsNumbers(const Value& field) {
  if (const Value* entry = FirstEntry(field)) return IsNumber(*entry);
  return !field.values().empty() && IsNumericArray(*field.values()[0]) &&
         field.values()[0]->shape().size() == 1;
}

bool IsListOfIds(const pickle::Document& document, const Value& value, const Value& known,
                 Budget* budget) {
  const bool is_list = IsSequence(value) || value.kind() == Kind::kSet ||
                       (value.kind() == Kind::kArray && value.shape().size() == 1);
  if (!is_list) return false;
  const absl::StatusOr<std::vector<ConversationId>> ids = ReadIds(document, value, budget);
  if (!ids.ok() || ids->empty()) return false;
  // Digits count as the number, since one field may have texts where another has numbers.
  const auto is_known = [&](const ConversationId& id) {
    int64_t number;
    return FindById(known, id) != nullptr || known.Find(absl::string_view(id.text)) != nullptr ||
           (absl::SimpleAtoi(id.text, &number) && known.Find(number) != nullptr);
  };
  const auto found = static_cast<size_t>(std::count_if(ids->begin(), ids->end(), is_known));
  if (2 * found < ids->size()) return false;
  return !(*ids)[0].numeric ||
         std::set<ConversationId>(ids->begin(), ids->end()).size() == ids->size();
}

}  // namespace cmerc::datasets
