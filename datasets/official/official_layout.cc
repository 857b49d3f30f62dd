#include "datasets/official/official_layout.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "core/status.h"
#include "datasets/official/field_path.h"
#include "datasets/official/field_sight.h"

namespace cmerc::datasets {
namespace {

using pickle::Kind;
using Options = OfficialPicklesOptions;
using FieldKind = FieldSight::Kind;

Corpus Iemocap() {
  return {"IEMOCAP", Options::IEMOCAP, {"hap", "sad", "neu", "ang", "exc", "fru"}};
}

Corpus Meld() {
  return {
      "MELD", Options::MELD, {"neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"}};
}

// conv-emotion, COSMIC/erc-training/dataloader.py.
Corpus EmoryNlp() {
  return {"EmoryNLP",
          Options::EMORYNLP,
          {"joyful", "mad", "peaceful", "neutral", "sad", "powerful", "scared"}};
}

// 72143 of the 87170 training utterances have label 1, as many as DailyDialog has neutral ones, and
// so on: the order that a comment in conv-emotion's dataloader.py gives is MELD's, not the file's.
Corpus DailyDialog() {
  return {"DailyDialog",
          Options::DAILYDIALOG,
          {"happiness", "neutral", "anger", "sadness", "fear", "surprise", "disgust"}};
}

// ids, speakers, labels, text, audio, visual, sentences, train, test, and more that is not read.
OfficialLayout Features(std::string name, int num_fields, Corpus corpus) {
  OfficialLayout layout;
  layout.name = std::move(name);
  layout.num_fields = num_fields;
  layout.ids = "0";
  layout.speakers = "1";
  layout.labels = "2";
  layout.text = {"3"};
  layout.audio = "4";
  layout.visual = "5";
  layout.sentences = "6";
  layout.train = "7";
  layout.test = "8";
  layout.corpus = std::move(corpus);
  return layout;
}

OfficialLayout IemocapFeatures() { return Features("IEMOCAP features", 9, Iemocap()); }
OfficialLayout MeldFeatures() { return Features("MELD features", 10, Meld()); }

// As Features(), with four streams of text.
OfficialLayout Sdt(std::string name, int num_fields, Corpus corpus) {
  OfficialLayout layout = Features(std::move(name), num_fields, std::move(corpus));
  layout.text = {"3", "4", "5", "6"};
  layout.audio = "7";
  layout.visual = "8";
  layout.sentences = "9";
  layout.train = "10";
  layout.test = "11";
  return layout;
}

OfficialLayout SdtIemocap() { return Sdt("SDT IEMOCAP", 12, Iemocap()); }
OfficialLayout SdtMeld() { return Sdt("SDT MELD", 13, Meld()); }

OfficialLayout Roberta(std::string name, Corpus corpus) {
  OfficialLayout layout;
  layout.name = std::move(name);
  layout.num_fields = 10;
  layout.speakers = "0";
  layout.labels = "1";
  layout.text = {"2", "3", "4", "5"};
  layout.sentences = "6";
  layout.train = "7";
  layout.test = "8";
  layout.valid = "9";
  layout.corpus = std::move(corpus);
  return layout;
}

// Its third field holds the sentiment labels.
OfficialLayout MeldRoberta() {
  OfficialLayout layout = Roberta("MELD RoBERTa", Meld());
  layout.num_fields = 11;
  layout.text = {"3", "4", "5", "6"};
  layout.sentences = "7";
  layout.train = "8";
  layout.test = "9";
  layout.valid = "10";
  return layout;
}

// IEMOCAP's speakers are M and F, DailyDialog's 0 and 1, EmoryNLP's one-hot rows.
OfficialLayout RobertaBySpeakers(const pickle::Value& speakers) {
  const pickle::Value* entry = FirstEntry(speakers);
  if (entry == nullptr) return Roberta("EmoryNLP RoBERTa", EmoryNlp());
  if (entry->kind() != Kind::kString) {
    return entry->items().empty() && entry->kind() != Kind::kArray
               ? Roberta("RoBERTa", {})
               : Roberta("EmoryNLP RoBERTa", EmoryNlp());
  }
  if (entry->string() == "M" || entry->string() == "F") {
    return Roberta("IEMOCAP RoBERTa", Iemocap());
  }
  if (entry->string() == "0" || entry->string() == "1") {
    return Roberta("DailyDialog RoBERTa", DailyDialog());
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

// InvalidArgument: a table of the layout can be none, or plainly is something else: features that
// are texts or single numbers, other things that are vectors of features.
absl::Status CheckFits(const pickle::Document& document, const OfficialLayout& layout,
                       const Options& options) {
  const pickle::Value& root = document.root();
  for (const auto& [field, what] : layout.Fields()) {
    const bool is_modality = what == "text" || what == "audio" || what == "visual";
    if (is_modality ? !IsChosen(options, what)
                    : what != "speakers" && what != "labels" && what != "sentences") {
      continue;
    }
    const pickle::Value& value = *FindField(root, field);
    const FieldSight sight = SightOf(document, field, value, kGlanceConversations);
    const bool fits =
        value.kind() == Kind::kDict &&
        (is_modality ? sight.kind != FieldKind::kTexts && sight.kind != FieldKind::kTokens &&
                           sight.kind != FieldKind::kNumbers
                     : sight.kind != FieldKind::kVectors || sight.integral);
    if (fits) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "of ", layout.num_fields, " fields there is ", layout.name, ", which has the ", what,
        " in field ", field, ", and here that is ", sight.what,
        is_modality ? "; if the rest is right, data { modalities } chooses the others" : ""));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<std::pair<std::string, std::string>> OfficialLayout::Fields() const {
  std::vector<std::pair<std::string, std::string>> fields;
  const auto add = [&](const std::string& field, const char* what) {
    if (!field.empty()) fields.emplace_back(field, what);
  };
  add(ids, "ids");
  add(speakers, "speakers");
  add(labels, "labels");
  for (const std::string& field : text) add(field, "text");
  add(audio, "audio");
  add(visual, "visual");
  add(sentences, "sentences");
  add(train, "train_ids");
  add(valid, "valid_ids");
  add(test, "test_ids");
  add(conversation_id, "conversation_id");
  for (const std::string& field : unused) add(field, "unused");
  return fields;
}

bool IsChosen(const Options& options, absl::string_view modality) {
  const auto& chosen = options.modalities();
  return chosen.empty() || std::find(chosen.begin(), chosen.end(), modality) != chosen.end();
}

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
      return Roberta("IEMOCAP RoBERTa", Iemocap());
    case Options::MELD:
      return MeldRoberta();
    case Options::EMORYNLP:
      return Roberta("EmoryNLP RoBERTa", EmoryNlp());
    case Options::DAILYDIALOG:
      return Roberta("DailyDialog RoBERTa", DailyDialog());
    default:
      return NoSuchFile(layout, "roberta_file", "features_file");
  }
}

absl::StatusOr<OfficialLayout> LayoutFromFields(const Options::Fields& fields) {
  OfficialLayout layout;
  layout.is_from_fields = true;
  layout.name = "fields";
  layout.speakers = fields.speakers();
  layout.labels = fields.labels();
  layout.text.assign(fields.text().begin(), fields.text().end());
  layout.audio = fields.audio();
  layout.visual = fields.visual();
  layout.sentences = fields.sentences();
  layout.ids = fields.ids();
  layout.train = fields.train_ids();
  layout.valid = fields.valid_ids();
  layout.test = fields.test_ids();
  layout.conversation_id = fields.conversation_id();
  layout.unused.assign(fields.unused().begin(), fields.unused().end());
  std::vector<std::string> errors;
  for (const auto& [name, value] : {std::pair("labels", &layout.labels),
                                    {"train_ids", &layout.train},
                                    {"test_ids", &layout.test}}) {
    if (value->empty()) errors.push_back(absl::StrCat("fields.", name, " is not set"));
  }
  for (const std::vector<std::string>* list : {&layout.text, &layout.unused}) {
    for (const std::string& field : *list) {
      if (field.empty()) errors.push_back("fields: text and unused must not be empty");
    }
  }
  if (errors.empty()) return layout;
  return absl::InvalidArgumentError(absl::StrJoin(errors, "; "));
}

absl::StatusOr<OfficialLayout> DetectLayout(const pickle::Document& document,
                                            const Options& options) {
  const pickle::Value& root = document.root();
  const auto fields = IsRecord(root) ? root.items() : absl::Span<const pickle::Value* const>();
  OfficialLayout layout;
  switch (fields.size()) {
    case 9:
      layout = IemocapFeatures();
      break;
    case 10:
      // The labels are the third field of one layout and the second of the other.
      layout = HoldsNumbers(*fields[2]) ? MeldFeatures() : RobertaBySpeakers(*fields[0]);
      break;
    case 11:
      layout = MeldRoberta();
      break;
    case 12:
      layout = SdtIemocap();
      break;
    case 13:
      layout = SdtMeld();
      break;
    default:
      return absl::InvalidArgumentError(
          "they are tuples or lists of 9 fields (IEMOCAP features), 10 (MELD features; RoBERTa of "
          "IEMOCAP, EmoryNLP, DailyDialog), 11 (MELD RoBERTa), 12 (SDT IEMOCAP) or 13 (SDT MELD)");
  }
  RETURN_IF_ERROR(CheckFits(document, layout, options));
  return layout;
}

absl::Status CheckNumFields(const pickle::Document& document, const OfficialLayout& layout) {
  const pickle::Value& root = document.root();
  if (layout.num_fields == 0 ||
      (IsRecord(root) && static_cast<int>(root.items().size()) == layout.num_fields)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(document.name(), " holds ", Describe(root),
                                                 ", want the tuple or list of ", layout.num_fields,
                                                 " fields of the layout ", layout.name));
}

}  // namespace cmerc::datasets
