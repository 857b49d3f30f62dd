#include "calibration/prediction_text.h"

#include <google/protobuf/descriptor.h>

#include <array>
#include <charconv>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "core/printable.h"
#include "metrics/json.h"

namespace cmerc {
namespace {

// Names as JSON, each quoted but once.
class QuotedNames {
 public:
  const std::string& Of(const std::string& name) {
    const auto [place, is_new] = quoted_.emplace(name, "");
    if (!is_new) return place->second;
    // The one place where names are quoted is Protobuf's.
    PredictedConversation shell;
    shell.set_id(name);
    constexpr absl::string_view kBegin = "{\"id\":", kEnd = ",\"utterances\":[]}";
    const std::string json = ToJson(shell, /*pretty=*/false);
    place->second = json.substr(kBegin.size(), json.size() - kBegin.size() - kEnd.size());
    return place->second;
  }
  // A name, or the number that it is.
  std::string Of(const std::string& name, bool is_number) { return is_number ? name : Of(name); }

 private:
  std::map<std::string, std::string> quoted_;
};

// The names first, as a reader looks for them; Protobuf would put them last.
std::string UtteranceToJson(PredictedUtterance utterance, const CarriedAlong::Utterance& carried,
                            QuotedNames* names) {
  std::string json = "{";
  if (utterance.has_id()) {
    absl::StrAppend(&json, "\"id\":", names->Of(utterance.id().value(), carried.numeric_id), ",");
  }
  if (utterance.has_speaker()) {
    absl::StrAppend(&json, "\"speaker\":", names->Of(utterance.speaker().value()), ",");
  }
  if (utterance.has_true_label()) {
    absl::StrAppend(&json, "\"true_label\":", names->Of(utterance.true_label().value()), ",");
  }
  utterance.clear_id();
  utterance.clear_speaker();
  utterance.clear_true_label();
  const std::string rest = ToJson(utterance, /*pretty=*/false);
  absl::StrAppend(&json, absl::string_view(rest).substr(1, rest.size() - 2));
  if (!carried.members.empty()) absl::StrAppend(&json, ",", carried.members);
  return json + "}";
}

// What is carried along with utterance i.
CarriedAlong::Utterance CarriedOf(const CarriedAlong& carried, int i) {
  return carried.utterances.empty() ? CarriedAlong::Utterance() : carried.utterances[i];
}

// As many digits as give back the same bits.
std::string Number(double value) {
  std::array<char, 32> digits;
  return std::string(digits.data(),
                     std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
}

// A name, which may be a number that no spreadsheet takes for a formula.
std::string NameField(const std::string& name, bool is_number) {
  return is_number ? name : CsvField(name);
}

// An object of JSON with these members, "" for none.
std::string ObjectField(const std::string& members) {
  return members.empty() ? "" : CsvField(absl::StrCat("{", members, "}"));
}

}  // namespace

bool IsAnswerKey(const std::string& key) {
  return PredictedUtterance::descriptor()->FindFieldByName(key) != nullptr;
}

std::string PredictionToJson(const PredictedConversation& prediction, const CarriedAlong& carried) {
  QuotedNames names;
  std::string json = absl::StrCat("{\"id\":", names.Of(prediction.id(), carried.numeric_id));
  if (!carried.members.empty()) absl::StrAppend(&json, ",", carried.members);
  std::vector<std::string> utterances;
  for (int i = 0; i < prediction.utterances_size(); ++i) {
    utterances.push_back(UtteranceToJson(prediction.utterances(i), CarriedOf(carried, i), &names));
  }
  return absl::StrCat(json, ",\"utterances\":[", absl::StrJoin(utterances, ","), "]}");
}

std::string PredictionTable::Header() const {
  std::vector<std::string> names = {
      "conversation", "utterance", "utterance_id", "speaker",
      "true_label",   "label",     "confidence",   "calibrated_confidence"};
  for (const char* kind : {"probability_", "calibrated_probability_"}) {
    for (const std::string& name : class_names_) {
      names.push_back(CsvField(absl::StrCat(kind, name)));
    }
  }
  for (const View& view : views_) {
    for (const char* change : {"_label", "_log_prob_change", "_confidence_change"}) {
      names.push_back(CsvField(absl::StrCat("without_", view.name(), change)));
    }
  }
  names.insert(names.end(), {"conversation_extra", "utterance_extra"});
  return absl::StrCat(absl::StrJoin(names, ","), "\n");
}

std::string PredictionTable::Rows(const PredictedConversation& prediction,
                                  const CarriedAlong& carried) const {
  std::string text;
  for (int i = 0; i < prediction.utterances_size(); ++i) {
    const PredictedUtterance& utterance = prediction.utterances(i);
    const CarriedAlong::Utterance more = CarriedOf(carried, i);
    const bool calibrated = utterance.has_calibrated_confidence();
    std::vector<std::string> fields = {
        NameField(prediction.id(), carried.numeric_id),
        absl::StrCat(i),
        utterance.has_id() ? NameField(utterance.id().value(), more.numeric_id) : "",
        utterance.has_speaker() ? CsvField(utterance.speaker().value()) : "",
        utterance.has_true_label() ? CsvField(utterance.true_label().value()) : "",
        CsvField(utterance.label()),
        Number(utterance.confidence()),
        calibrated ? Number(utterance.calibrated_confidence().value()) : ""};
    for (const std::string& name : class_names_) {
      fields.push_back(Number(utterance.probabilities().at(name)));
    }
    for (const std::string& name : class_names_) {
      fields.push_back(calibrated ? Number(utterance.calibrated_probabilities().at(name)) : "");
    }
    for (const ViewChange& change : utterance.without()) {
      fields.insert(fields.end(), {CsvField(change.label()), Number(change.log_prob_change()),
                                   Number(change.confidence_change())});
    }
    fields.insert(fields.end(), {ObjectField(carried.members), ObjectField(more.members)});
    absl::StrAppend(&text, absl::StrJoin(fields, ","), "\n");
  }
  return text;
}

}  // namespace cmerc
