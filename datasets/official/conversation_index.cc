#include "datasets/official/conversation_index.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "datasets/official/field_path.h"
#include "datasets/official/field_sight.h"

namespace cmerc::datasets {
namespace {

using pickle::Kind;
using pickle::Value;

constexpr size_t kMostProblems = 10;  // that are told

bool IsListOfDicts(const Value& value) {
  return (value.kind() == Kind::kList || value.kind() == Kind::kTuple) && !value.items().empty() &&
         value.items()[0]->kind() == Kind::kDict;
}

bool IsDictOfDicts(const Value& value) {
  return value.kind() == Kind::kDict && !value.values().empty() &&
         value.values()[0]->kind() == Kind::kDict;
}

// Calls `found(path, value)` for what no path of `used` leads to: the fields of the root and what
// is in those that are no tables, two deep.
class UnusedFields {
 public:
  UnusedFields(std::set<std::string> used, const Value* known)
      : used_(std::move(used)), known_(known) {}

  template <typename Found>
  void Visit(const Value& value, const std::string& path, int depth, const Found& found) {
    if (used_.count(path) > 0 || ++visits_ > kMostVisits) return;
    if (depth > 0) found(path, value);
    if (depth == kDeepest) return;
    const std::string prefix = path.empty() ? "" : absl::StrCat(path, "/");
    if (value.kind() == Kind::kDict && !IsTable(value) &&
        (depth == 0 || value.keys().size() <= kMostFields)) {
      for (size_t i = 0; i < value.keys().size(); ++i) {
        const Value& key = *value.keys()[i];
        const std::string part = key.kind() == Kind::kString ? std::string(key.string())
                                 : key.kind() == Kind::kInt  ? absl::StrCat(key.int_value())
                                                             : "";
        if (!part.empty()) Visit(*value.values()[i], prefix + part, depth + 1, found);
      }
    }
    const bool is_list = value.kind() == Kind::kList || value.kind() == Kind::kTuple;
    if (is_list && (depth == 0 || value.items().size() <= kMostFields)) {
      for (size_t i = 0; i < value.items().size(); ++i) {
        Visit(*value.items()[i], absl::StrCat(prefix, i), depth + 1, found);
      }
    }
  }

  // Whether there are more than can be looked at: objects may be shared.
  bool are_too_many() const { return visits_ > kMostVisits; }

 private:
  static constexpr int64_t kMostVisits = 100000;
  static constexpr int kDeepest = 2;
  static constexpr size_t kMostFields = 100;  // of what is below the root

  // Whether the keys are conversations.
  bool IsTable(const Value& dict) const {
    if (known_ == nullptr || dict.keys().empty()) return false;
    const Value& key = *dict.keys()[0];
    return (key.kind() == Kind::kString && known_->Find(key.string()) != nullptr) ||
           (key.kind() == Kind::kInt && known_->Find(key.int_value()) != nullptr);
  }

  const std::set<std::string> used_;
  const Value* const known_;
  int64_t visits_ = 0;
};

}  // namespace

absl::StatusOr<ConversationIndex> ConversationIndex::Make(const pickle::Document& document,
                                                          const OfficialLayout& layout,
                                                          Budget* budget) {
  RETURN_IF_ERROR(CheckNumFields(document, layout));
  ConversationIndex index(document, layout);
  RETURN_IF_ERROR(index.Arrange(budget));
  return index;
}

absl::Status ConversationIndex::Arrange(Budget* budget) {
  if (layout_.train.empty()) return CheckTables();
  const Value* train = FindField(document_->root(), layout_.train);
  if (train == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        document_->name(), " holds ", Glance(document_->root()), " and no ",
        FieldName(document_->root(), layout_.train, "data"), ", where train_ids should be"));
  }
  if (train->kind() == Kind::kDict && FindField(*train, layout_.labels) != nullptr) {
    arrangement_ = Arrangement::kTablesOfSplits;
  } else if (IsListOfDicts(*train) || IsDictOfDicts(*train)) {
    arrangement_ = Arrangement::kConversations;
  } else {
    return CheckTables();
  }
  for (const std::string* field : {&layout_.train, &layout_.valid, &layout_.test}) {
    if (!field->empty()) RETURN_IF_ERROR(AddSplit(*field, budget));
  }
  NameConversations();
  return absl::OkStatus();
}

absl::Status ConversationIndex::CheckTables() const {
  const Value& root = document_->root();
  const auto wrong = [&](const std::string& field, const std::string& problem) {
    return absl::InvalidArgumentError(absl::StrCat(document_->name(), ": ",
                                                   FieldName(root, field, "data"), " is ", problem,
                                                   " (layout ", layout_.name, ")"));
  };
  for (const auto& [field, what] : layout_.Fields()) {
    const auto& left_out = layout_.left_out;
    if (what == "unused" || std::count(left_out.begin(), left_out.end(), what) > 0) continue;
    const Value* value = FindField(root, field);
    if (value == nullptr) {
      return wrong(field,
                   absl::StrCat("not there, want ", what, "; the file holds ", Glance(root)));
    }
    const bool is_list = what == "train_ids" || what == "valid_ids" || what == "test_ids";
    // The ids of utterances are read only where a modality has a file of its own.
    if (is_list || what == "ids" || what == "conversation_id") continue;
    if (value->kind() != Kind::kDict) {
      return wrong(field, absl::StrCat(Describe(*value), ", want a dict from conversation id to ",
                                       what, HowToConvert(*value)));
    }
  }
  return absl::OkStatus();
}

absl::Status ConversationIndex::AddSplit(const std::string& field, Budget* budget) {
  const Value& root = document_->root();
  const Value* split = FindField(root, field);
  const std::string place = absl::StrCat(document_->name(), ": ", FieldName(root, field, "data"));
  if (split == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, " is not there; the file holds ", Glance(root)));
  }
  if (arrangement_ == Arrangement::kConversations) return AddConversations(field, *split, budget);
  const Value* labels = FindField(*split, layout_.labels);
  if (labels == nullptr || labels->kind() != Kind::kDict) {
    return absl::InvalidArgumentError(absl::StrCat(
        place, " is ", Glance(*split), ", want the tables of a split as in ",
        FieldName(root, layout_.train, "data"), ", with ",
        FieldName(*split, layout_.labels, "a dict from conversation id to labels in ")));
  }
  std::vector<Entry>& entries = splits_[field];
  for (const Value* key : labels->keys()) {
    ASSIGN_OR_RETURN(ConversationId id, Annotate(ReadId(*document_, *key, budget), place));
    entries.push_back({split, std::move(id)});
  }
  return absl::OkStatus();
}

absl::Status ConversationIndex::AddConversations(const std::string& field, const Value& split,
                                                 Budget* budget) {
  const std::string place =
      absl::StrCat(document_->name(), ": ", FieldName(document_->root(), field, "data"));
  const bool is_dict = split.kind() == Kind::kDict;
  const bool is_list = split.kind() == Kind::kList || split.kind() == Kind::kTuple;
  if (!is_dict && !is_list) {
    return absl::InvalidArgumentError(
        absl::StrCat(place, " is ", Describe(split), ", want a list or dict of conversations"));
  }
  const absl::Span<const Value* const> items = is_dict ? split.values() : split.items();
  std::vector<Entry>& entries = splits_[field];
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i]->kind() != Kind::kDict) {
      return absl::InvalidArgumentError(absl::StrCat(
          place, ": conversation ", i, " is ", Describe(*items[i]), ", want a dict of its fields"));
    }
    ConversationId id = {absl::StrCat(i), true, static_cast<int64_t>(i)};
    if (is_dict) {
      ASSIGN_OR_RETURN(id, Annotate(ReadId(*document_, *split.keys()[i], budget), place));
    } else if (!layout_.conversation_id.empty()) {
      const Value* value = FindField(*items[i], layout_.conversation_id);
      if (value == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat(place, ": conversation ", i, " holds ", Glance(*items[i]), " and no ",
                         layout_.conversation_id, ", where conversation_id should be"));
      }
      ASSIGN_OR_RETURN(
          id, Annotate(ReadId(*document_, *value, budget),
                       absl::StrCat(place, ": conversation ", i, ": ", layout_.conversation_id)));
    }
    entries.push_back({items[i], std::move(id)});
  }
  return absl::OkStatus();
}

void ConversationIndex::NameConversations() {
  std::map<ConversationId, std::set<std::string>> splits_of;
  for (const auto& [field, entries] : splits_) {
    for (const Entry& entry : entries) splits_of[entry.id].insert(field);
  }
  const bool shared = std::any_of(splits_of.begin(), splits_of.end(),
                                  [](const auto& entry) { return entry.second.size() > 1; });
  for (const auto& [field, entries] : splits_) {
    for (const Entry& entry : entries) {
      ConversationId id = entry.id;
      if (shared) id = {absl::StrCat(field, "/", id.text), false, 0};
      ids_[field].push_back(id);
      entries_.emplace(std::move(id), entry);
    }
  }
}

absl::StatusOr<std::vector<ConversationId>> ConversationIndex::Ids(const std::string& field,
                                                                   Budget* budget) const {
  if (arrangement_ == Arrangement::kTables) {
    return ReadIds(*document_, *FindField(document_->root(), field), budget);
  }
  const auto ids = ids_.find(field);
  return ids == ids_.end() ? std::vector<ConversationId>() : ids->second;
}

const Value* ConversationIndex::Find(const std::string& field, const ConversationId& id) const {
  if (arrangement_ == Arrangement::kTables) {
    const Value* table = FindField(document_->root(), field);
    return table == nullptr ? nullptr : FindById(*table, id);
  }
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return nullptr;
  const Value* value = FindField(*entry->second.holder, field);
  if (value == nullptr || arrangement_ == Arrangement::kConversations) return value;
  return FindById(*value, entry->second.id);
}

std::string ConversationIndex::NameOf(const std::string& field) const {
  const bool is_split = field == layout_.train || field == layout_.valid || field == layout_.test;
  if (arrangement_ == Arrangement::kTables || is_split) {
    return FieldName(document_->root(), field, "data");
  }
  if (entries_.empty()) return field;
  return FieldName(*entries_.begin()->second.holder, field,
                   arrangement_ == Arrangement::kConversations ? "conversation" : "data[SPLIT]");
}

std::vector<ConversationId> ConversationIndex::AllIds(Budget* budget) const {
  std::vector<ConversationId> all;
  if (arrangement_ != Arrangement::kTables) {
    for (const auto& [id, entry] : entries_) all.push_back(id);
    return all;
  }
  const Value* labels = FindField(document_->root(), layout_.labels);
  if (labels == nullptr) return all;
  for (const Value* key : labels->keys()) {
    absl::StatusOr<ConversationId> id = ReadId(*document_, *key, budget);
    if (id.ok()) all.push_back(*std::move(id));
  }
  return all;
}

std::vector<std::string> ConversationIndex::UnreadLists() const {
  std::set<std::string> used;
  for (const auto& [field, what] : layout_.Fields()) used.insert(field);
  const Value& root = document_->root();
  const Value* labels =
      arrangement_ == Arrangement::kTables ? FindField(root, layout_.labels) : nullptr;
  std::vector<std::string> problems;
  if (arrangement_ == Arrangement::kTables && labels == nullptr) return problems;
  Budget budget(document_->measured_size());
  UnusedFields fields(used, labels);
  fields.Visit(root, "", 0, [&](const std::string& path, const Value& value) {
    const bool is_list =
        labels != nullptr ? IsListOfIds(*document_, value, *labels, &budget)
        : arrangement_ == Arrangement::kConversations
            ? IsListOfDicts(value) || IsDictOfDicts(value)
            : value.kind() == Kind::kDict && FindField(value, layout_.labels) != nullptr;
    if (!is_list || problems.size() == kMostProblems) return;
    problems.push_back(absl::StrCat(document_->name(), ": ", FieldName(root, path, "data"), ", ",
                                    Glance(value), ", names conversations of this file, but ",
                                    layout_.is_from_fields ? "`fields`" : "the layout ",
                                    layout_.is_from_fields ? "" : layout_.name,
                                    " does not say what it is"));
  });
  if (fields.are_too_many() || budget.is_spent()) {
    problems.push_back(absl::StrCat(document_->name(),
                                    " repeats its objects so often that its fields are too many "
                                    "to look for lists of conversations; the file may be hostile"));
  }
  return problems;
}

}  // namespace cmerc::datasets
