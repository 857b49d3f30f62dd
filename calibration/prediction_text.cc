#include "calibration/prediction_text.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "core/printable.h"
#include "metrics/json.h"

namespace cmerc {
namespace {

// Whether JSON has `text` as it is, between quotes.
bool IsPlain(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) || absl::string_view(" _-.:/").find(c) != absl::string_view::npos;
  });
}

// A name as JSON: in quotes, or the number that it is.
std::string NameToJson(const std::string& name, bool is_number) {
  if (is_number) return name;
  if (IsPlain(name)) return absl::StrCat("\"", name, "\"");
  PredictedConversation shell;
  shell.set_id(name);
  constexpr absl::string_view kBegin = "{\"id\":", kEnd = ",\"utterances\":[]}";
  const std::string json = ToJson(shell, /*pretty=*/false);
  return json.substr(kBegin.size(), json.size() - kBegin.size() - kEnd.size());
}

// The names of an utterance, which a reader looks for first; Protobuf would put them last.
std::string NamesToJson(const PredictedUtterance& utterance, bool numeric_id) {
  std::string json;
  if (utterance.has_id()) {
    absl::StrAppend(&json, "\"id\":", NameToJson(utterance.id().value(), numeric_id), ",");
  }
  if (utterance.has_speaker()) {
    absl::StrAppend(&json, "\"speaker\":", NameToJson(utterance.speaker().value(), false), ",");
  }
  if (utterance.has_true_label()) {
    absl::StrAppend(&json, "\"true_label\":", NameToJson(utterance.true_label().value(), false),
                    ",");
  }
  return json;
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

// "audio;visual" for the modalities that the utterance lacks; "" for none.
std::string MissingField(const PredictedUtterance& utterance) {
  if (!utterance.has_missing()) return "";
  return CsvField(absl::StrJoin(utterance.missing().values(), ";",
                                [](std::string* out, const google::protobuf::Value& name) {
                                  out->append(name.string_value());
                                }));
}

// An object of JSON with these members, "" for none.
std::string ObjectField(const std::string& members) {
  return members.empty() ? "" : CsvField(absl::StrCat("{", members, "}"));
}

// A list of names as JSON.
std::string ListToJson(const google::protobuf::ListValue& names) {
  return absl::StrCat(
      "[",
      absl::StrJoin(names.values(), ",",
                    [](std::string* out, const google::protobuf::Value& name) {
                      out->append(NameToJson(name.string_value(), /*is_number=*/false));
                    }),
      "]");
}

// A number with the digits that Protobuf gives it: 15 where they give back the bits, else 17.
void AppendNumber(double value, std::string* json) {
  if (!std::isfinite(value)) {
    absl::StrAppend(json, std::isnan(value) ? "\"NaN\""
                          : value > 0       ? "\"Infinity\""
                                            : "\"-Infinity\"");
    return;
  }
  std::array<char, 32> digits;
  for (const int precision : {15, 17}) {
    char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                    std::chars_format::general, precision)
                          .ptr;
    double again = 0;
    std::from_chars(digits.data(), end, again);
    if (again != value && precision == 15) continue;
    json->append(digits.data(), end);
    return;
  }
}

// {"joy":0.25,"anger":0.75}, sorted by name.
void AppendProbabilities(const google::protobuf::Map<std::string, double>& probabilities,
                         std::string* json) {
  std::vector<std::pair<absl::string_view, double>> sorted(probabilities.begin(),
                                                           probabilities.end());
  std::sort(sorted.begin(), sorted.end());
  const char* before = "{";
  for (const auto& [name, probability] : sorted) {
    absl::StrAppend(json, before, NameToJson(std::string(name), /*is_number=*/false), ":");
    AppendNumber(probability, json);
    before = ",";
  }
  absl::StrAppend(json, sorted.empty() ? "{}" : "}");
}

// What is said of an utterance, without its names and braces: the bytes that ToJson() would write,
// which takes ten times as long.
std::string UtteranceToJson(const PredictedUtterance& utterance) {
  std::string json =
      absl::StrCat("\"label\":", NameToJson(utterance.label(), false), ",\"probabilities\":");
  AppendProbabilities(utterance.probabilities(), &json);
  absl::StrAppend(&json, ",\"confidence\":");
  AppendNumber(utterance.confidence(), &json);
  absl::StrAppend(&json, ",\"calibrated_probabilities\":");
  AppendProbabilities(utterance.calibrated_probabilities(), &json);
  absl::StrAppend(&json, ",\"without\":[");
  const char* before = "{";
  for (const ViewChange& change : utterance.without()) {
    absl::StrAppend(&json, before, "\"view\":", NameToJson(change.view(), false),
                    ",\"label\":", NameToJson(change.label(), false), ",\"log_prob_change\":");
    AppendNumber(change.log_prob_change(), &json);
    absl::StrAppend(&json, ",\"confidence_change\":");
    AppendNumber(change.confidence_change(), &json);
    json.push_back('}');
    before = ",{";
  }
  json.push_back(']');
  if (utterance.has_calibrated_confidence()) {
    absl::StrAppend(&json, ",\"calibrated_confidence\":");
    AppendNumber(utterance.calibrated_confidence().value(), &json);
  }
  if (utterance.has_missing()) {
    absl::StrAppend(&json, ",\"missing\":", ListToJson(utterance.missing()));
  }
  if (utterance.has_set()) absl::StrAppend(&json, ",\"set\":", ListToJson(utterance.set()));
  if (utterance.has_abstained()) {
    absl::StrAppend(&json, ",\"abstained\":", utterance.abstained().value() ? "true" : "false");
  }
  return json;
}

// The objects of the utterances, without their braces.
std::vector<std::string> UtterancesToJson(const PredictedConversation& prediction,
                                          const CarriedAlong& carried) {
  std::vector<std::string> utterances;
  for (int i = 0; i < prediction.utterances_size(); ++i) {
    const CarriedAlong::Utterance more = CarriedOf(carried, i);
    utterances.push_back(absl::StrCat(NamesToJson(prediction.utterances(i), more.numeric_id),
                                      UtteranceToJson(prediction.utterances(i)),
                                      more.members.empty() ? "" : ",", more.members));
  }
  return utterances;
}

}  // namespace

bool IsAnswerKey(const std::string& key, const OptionalKeys& keys) {
  if (key == "set") return keys.set;
  if (key == "abstained") return keys.abstained;
  return PredictedUtterance::descriptor()->FindFieldByName(key) != nullptr;
}

std::string PredictionToJson(const PredictedConversation& prediction, const CarriedAlong& carried) {
  std::string json = absl::StrCat("{\"id\":", NameToJson(prediction.id(), carried.numeric_id));
  if (!carried.members.empty()) absl::StrAppend(&json, ",", carried.members);
  std::vector<std::string> utterances = UtterancesToJson(prediction, carried);
  for (std::string& utterance : utterances) utterance = absl::StrCat("{", utterance, "}");
  return absl::StrCat(json, ",\"utterances\":[", absl::StrJoin(utterances, ","), "]}");
}

std::string StreamedToJson(const PredictedConversation& prediction, int64_t number, bool restarted,
                           const CarriedAlong& carried) {
  return absl::StrCat("{\"conversation\":", NameToJson(prediction.id(), carried.numeric_id),
                      ",\"utterance\":", number, restarted ? ",\"restarted\":true" : "", ",",
                      absl::StrJoin(UtterancesToJson(prediction, carried), ","), "}");
}

std::string RefusalToJson(int64_t line, const PredictedConversation& names,
                          const CarriedAlong& carried, const std::string& error) {
  std::string json = absl::StrCat("{\"line\":", line);
  if (!names.id().empty()) {
    absl::StrAppend(&json, ",\"conversation\":", NameToJson(names.id(), carried.numeric_id));
  }
  if (names.utterances_size() > 0 && names.utterances(0).has_id()) {
    absl::StrAppend(&json, ",\"id\":",
                    NameToJson(names.utterances(0).id().value(), CarriedOf(carried, 0).numeric_id));
  }
  return absl::StrCat(json, ",\"error\":", NameToJson(error, false), "}");
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
  if (keys_.set) names.emplace_back("set");
  if (keys_.abstained) names.emplace_back("abstained");
  names.insert(names.end(), {"conversation_extra", "utterance_extra", "missing"});
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
    if (keys_.set) fields.push_back(CsvField(ListToJson(utterance.set())));
    if (keys_.abstained) fields.emplace_back(utterance.abstained().value() ? "true" : "false");
    fields.insert(fields.end(), {ObjectField(carried.members), ObjectField(more.members),
                                 MissingField(utterance)});
    absl::StrAppend(&text, absl::StrJoin(fields, ","), "\n");
  }
  return text;
}

}  // namespace cmerc
