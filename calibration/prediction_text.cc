#include "calibration/prediction_text.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <array>
#include <charconv>

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

// The objects of the one list in the object `json`, without their braces.
std::vector<absl::string_view> ObjectsOf(absl::string_view json) {
  std::vector<absl::string_view> objects;
  int depth = 0;
  size_t begin = 0;
  bool in_string = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && (c == '{' || c == '[')) {
      if (++depth == 3) begin = i + 1;
    } else if (!in_string && (c == '}' || c == ']')) {
      if (depth-- == 3) objects.push_back(json.substr(begin, i - begin));
    }
  }
  return objects;
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

// The objects of the utterances, without their braces.
std::vector<std::string> UtterancesToJson(const PredictedConversation& prediction,
                                          const CarriedAlong& carried) {
  PredictedConversation unnamed = prediction;
  for (PredictedUtterance& utterance : *unnamed.mutable_utterances()) {
    utterance.clear_id();
    utterance.clear_speaker();
    utterance.clear_true_label();
  }
  const std::string whole = ToJson(unnamed, /*pretty=*/false);
  std::vector<std::string> utterances;
  for (const absl::string_view object : ObjectsOf(whole)) {
    const auto i = static_cast<int>(utterances.size());
    const CarriedAlong::Utterance more = CarriedOf(carried, i);
    utterances.push_back(absl::StrCat(NamesToJson(prediction.utterances(i), more.numeric_id),
                                      object, more.members.empty() ? "" : ",", more.members));
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
