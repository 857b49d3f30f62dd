#include "datasets/official/official_layout.h"

#include <set>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace cmerc::datasets {
namespace {

using pickle::Kind;

constexpr int kNoField = OfficialLayout::kNoField;
using Options = OfficialPicklesOptions;

std::vector<std::string> IemocapClasses() { return {"hap", "sad", "neu", "ang", "exc", "fru"}; }

std::vector<std::string> MeldClasses() {
  return {"neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"};
}

// conv-emotion, COSMIC/erc-training/dataloader.py.
std::vector<std::string> EmoryNlpClasses() {
  return {"joyful", "mad", "peaceful", "neutral", "sad", "powerful", "scared"};
}

// 72143 of the 87170 training utterances have label 1, as many as DailyDialog has neutral ones, and
// so on: the order that a comment in conv-emotion's dataloader.py gives is MELD's, not the file's.
std::vector<std::string> DailyDialogClasses() {
  return {"happiness", "neutral", "anger", "sadness", "fear", "surprise", "disgust"};
}

OfficialLayout IemocapFeatures() {
  return {"IEMOCAP features", 9, 1, 2, {3}, 4, 5, 6, 7, 8, kNoField, IemocapClasses()};
}

OfficialLayout MeldFeatures() {
  return {"MELD features", 10, 1, 2, {3}, 4, 5, 6, 7, 8, kNoField, MeldClasses()};
}

OfficialLayout SdtIemocap() {
  return {"SDT IEMOCAP", 12, 1, 2, {3, 4, 5, 6}, 7, 8, 9, 10, 11, kNoField, IemocapClasses()};
}

OfficialLayout SdtMeld() {
  return {"SDT MELD", 13, 1, 2, {3, 4, 5, 6}, 7, 8, 9, 10, 11, kNoField, MeldClasses()};
}

OfficialLayout Roberta(std::string name, std::vector<std::string> class_names) {
  return {std::move(name),       10, 0, 1, {2, 3, 4, 5}, kNoField, kNoField, 6, 7, 8, 9,
          std::move(class_names)};
}

// Its third field holds the sentiment labels.
OfficialLayout MeldRoberta() {
  return {"MELD RoBERTa", 11, 0, 1, {3, 4, 5, 6}, kNoField, kNoField, 7, 8, 9, 10, MeldClasses()};
}

// Returns the first utterance's entry in the first conversation that has one, in a field that
// should be a dict from conversation id to utterances; nullptr when there is none or the
// conversation's value is a numeric array.
const pickle::Value* FirstEntry(const pickle::Value& field) {
  for (const pickle::Value* conversation : field.values()) {
    if (!conversation->items().empty()) return conversation->items()[0];
  }
  return nullptr;
}

// Whether a field holds one number per utterance (labels), as opposed to a vector (features).
bool HoldsNumbers(const pickle::Value& field) {
  if (const pickle::Value* entry = FirstEntry(field)) {
    return entry->kind() == Kind::kInt || entry->kind() == Kind::kBool ||
           entry->kind() == Kind::kFloat ||
           (entry->kind() == Kind::kArray && entry->shape().empty());
  }
  return !field.values().empty() && field.values()[0]->kind() == Kind::kArray &&
         field.values()[0]->shape().size() == 1;
}

// IEMOCAP's speakers are M and F, DailyDialog's 0 and 1, EmoryNLP's one-hot rows.
OfficialLayout RobertaBySpeakers(const pickle::Value& speakers) {
  const pickle::Value* entry = FirstEntry(speakers);
  if (entry == nullptr) return Roberta("EmoryNLP RoBERTa", EmoryNlpClasses());
  if (entry->kind() != Kind::kString) {
    return entry->items().empty() && entry->kind() != Kind::kArray
               ? Roberta("RoBERTa", {})
               : Roberta("EmoryNLP RoBERTa", EmoryNlpClasses());
  }
  if (entry->string() == "M" || entry->string() == "F") {
    return Roberta("IEMOCAP RoBERTa", IemocapClasses());
  }
  if (entry->string() == "0" || entry->string() == "1") {
    return Roberta("DailyDialog RoBERTa", DailyDialogClasses());
  }
  return Roberta("RoBERTa", {});
}

bool IsRecord(const pickle::Value& root) {
  return root.kind() == Kind::kTuple || root.kind() == Kind::kList;
}

absl::Status NoSuchFile(Options::Layout layout, const char* option, const char* other) {
  return absl::InvalidArgumentError(absl::StrCat("layout ", Options::Layout_Name(layout),
                                                 " has no ", option, "; give ", other,
                                                 " instead, or another layout"));
}

}  // namespace

absl::StatusOr<OfficialLayout> FeaturesLayout(Options::Layout layout) {
  switch (layout) {
    case Options::IEMOCAP:
      return IemocapFeatures();
    case Options::MELD:
      return MeldFeatures();
    case Options::SDT_IEMOCAP:
      return SdtIemocap();
    case Options::SDT_MELD:
      return SdtMeld();
    default:
      return NoSuchFile(layout, "features_file", "roberta_file");
  }
}

absl::StatusOr<OfficialLayout> RobertaLayout(Options::Layout layout) {
  switch (layout) {
    case Options::IEMOCAP:
      return Roberta("IEMOCAP RoBERTa", IemocapClasses());
    case Options::MELD:
      return MeldRoberta();
    case Options::EMORYNLP:
      return Roberta("EmoryNLP RoBERTa", EmoryNlpClasses());
    case Options::DAILYDIALOG:
      return Roberta("DailyDialog RoBERTa", DailyDialogClasses());
    default:
      return NoSuchFile(layout, "roberta_file", "features_file");
  }
}

absl::StatusOr<OfficialLayout> DetectLayout(const pickle::Document& document) {
  const pickle::Value& root = document.root();
  if (IsRecord(root)) {
    const auto fields = root.items();
    switch (fields.size()) {
      case 9:
        return IemocapFeatures();
      case 10:
        // The labels are the third field of one layout and the second of the other.
        return HoldsNumbers(*fields[2]) ? MeldFeatures() : RobertaBySpeakers(*fields[0]);
      case 11:
        return MeldRoberta();
      case 12:
        return SdtIemocap();
      case 13:
        return SdtMeld();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat(document.name(), " holds ", Describe(root),
                   ", want the tuple or list of 9 to 13 fields of an official feature file",
                   root.kind() == Kind::kDict ? " (a dict is what difficulty files hold)" : ""));
}

absl::Status CheckLayout(const pickle::Document& document, const OfficialLayout& layout) {
  const pickle::Value& root = document.root();
  if (!IsRecord(root) || static_cast<int>(root.items().size()) != layout.num_fields) {
    return absl::InvalidArgumentError(
        absl::StrCat(document.name(), " holds ", Describe(root), ", want the tuple or list of ",
                     layout.num_fields, " fields of the layout ", layout.name));
  }
  std::vector<std::pair<int, const char*>> tables = {
      {layout.speakers, "speakers"}, {layout.labels, "labels"}, {layout.sentences, "sentences"}};
  for (const int field : layout.text) tables.emplace_back(field, "text");
  if (layout.has_audio()) {
    tables.emplace_back(layout.audio, "audio");
    tables.emplace_back(layout.visual, "visual");
  }
  for (const auto& [field, name] : tables) {
    const pickle::Value& table = *root.items()[field];
    if (table.kind() != Kind::kDict) {
      return absl::InvalidArgumentError(
          absl::StrCat(document.name(), ": field ", field + 1, " of ", layout.num_fields, " is ",
                       Describe(table), ", want a dict from conversation id to ", name, " (layout ",
                       layout.name, "); set `layout` if the file has another"));
    }
  }
  return absl::OkStatus();
}

}  // namespace cmerc::datasets
