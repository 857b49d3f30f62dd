#include "datasets/formats/json_lines.h"

#include <array>
#include <charconv>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/status.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/json_cursor.h"
#include "registry/nearest_name.h"

namespace cmerc {
namespace {

constexpr char kMetadata[] = "metadata";

class Parser {
 public:
  Parser(absl::string_view json, UnknownKeys unknown_keys)
      : json_(json), unknown_keys_(unknown_keys) {}

  absl::StatusOr<ConversationRecord> Parse() {
    const bool ok =
        json_.ReadObject([&](const std::string& key) { return ReadField(key); }) && json_.ReadEnd();
    if (!ok) return absl::InvalidArgumentError(json_.error());
    // A line without utterances is something else than a conversation, as its keys may tell.
    if (record_.utterances().empty() && !first_unknown_.empty()) {
      return absl::InvalidArgumentError(first_unknown_);
    }
    if (record_.modalities().empty() && without_features_ >= 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("utterances[", without_features_, "] has no \"features\""));
    }
    for (int m = 0; m < record_.modalities_size(); ++m) AddAbsent(m, record_.utterances_size());
    for (ConversationRecord::Modality& modality : *record_.mutable_modalities()) {
      const auto found = extractors_.find(modality.name());
      if (found != extractors_.end()) modality.set_extractor(found->second);
    }
    ShareEqualStreams(&record_);
    RETURN_IF_ERROR(CheckRecord(record_));
    return std::move(record_);
  }

 private:
  using Extras = google::protobuf::RepeatedPtrField<ConversationRecord::Extra>;

  bool ReadExtra(const std::string& key, Extras* extras) {
    ConversationRecord::Extra* extra = extras->Add();
    extra->set_key(key);
    return json_.ReadValue(extra->mutable_json());
  }

  static std::string UnknownKey(const std::string& key, const std::vector<std::string>& known) {
    const std::string nearest = NearestName(key, known);
    return absl::StrCat(
        "is no field of this format; ",
        nearest.empty() ? "leave it out" : absl::StrCat("did you mean \"", nearest, "\"?"),
        " (fields: ", absl::StrJoin(known, ", "), ")");
  }

  bool TooMany(int limit, absl::string_view what) {
    return json_.Fail(absl::StrCat("is one too many, want at most ", limit, " ", what));
  }

  bool ReadName(std::string* value, bool* is_number) {
    if (!json_.ReadName(value, is_number)) return false;
    return !value->empty() || json_.Fail("is empty, want a name");
  }

  bool ReadField(const std::string& key) {
    if (key == "id") {
      bool is_number;
      if (!ReadName(record_.mutable_id(), &is_number)) return false;
      if (is_number) record_.set_numeric_id(true);
      return true;
    }
    if (key == "split") return ReadSplit();
    if (key == "position") return ReadPosition();
    if (key == "utterances") {
      return json_.ReadArray([&](int64_t index) { return ReadUtterance(index); });
    }
    if (key == "extractors") return ReadExtractors();
    if (key == kMetadata) return ReadExtra(key, record_.mutable_extras());
    if (unknown_keys_ == UnknownKeys::kRefuse) return json_.Fail(UnknownField(key));
    if (first_unknown_.empty()) first_unknown_ = absl::StrCat(key, " ", UnknownField(key));
    return ReadExtra(key, record_.mutable_extras());
  }

  // Says what a line is that is no conversation, but a file of another form.
  static std::string UnknownField(const std::string& key) {
    const std::vector<std::string> fields = {"id",         "split",      "position",
                                             "extractors", "utterances", kMetadata};
    const char* what_to_do = nullptr;
    for (const char* split : {"train", "valid", "test", "dev", "val"}) {
      if (key == split) {
        what_to_do = "write the conversations of a split a line each, with \"split\": \"train\"";
      }
    }
    for (const char* part : {"utterance", "speaker", "emotion", "label", "text", "dialog"}) {
      if (absl::StartsWithIgnoreCase(key, part)) {
        what_to_do = "put all utterances of a conversation into its line";
      }
    }
    if (what_to_do == nullptr || !NearestName(key, fields).empty()) {
      return UnknownKey(key, fields);
    }
    return absl::StrCat(
        "is no field of a conversation; ", what_to_do,
        ": {\"id\": ..., \"split\": \"train\", \"utterances\": [{\"speaker\": ..., \"label\": ..., "
        "\"features\": {\"text\": [...]}}, ...]}; docs/your_own_data.md shows the form");
  }

  bool ReadSplit() {
    std::string name;
    if (!json_.ReadString(&name)) return false;
    for (const auto split :
         {ConversationRecord::TRAIN, ConversationRecord::VALID, ConversationRecord::TEST}) {
      if (name != SplitName(split)) continue;
      record_.set_split(split);
      return true;
    }
    return json_.Fail(absl::StrCat("is \"", name, "\", want train, valid or test"));
  }

  bool ReadPosition() {
    std::string digits;
    bool is_number;
    if (!json_.ReadName(&digits, &is_number)) return false;
    int32_t position;
    if (!is_number || !absl::SimpleAtoi(digits, &position)) {
      return json_.Fail(absl::StrCat("is ", digits, ", want an integer of 32 bits"));
    }
    record_.set_position(position);
    return true;
  }

  // Those of modalities that no utterance has say nothing of the features that there are.
  bool ReadExtractors() {
    return json_.ReadObject([&](const std::string& modality) {
      std::string* extractor = &extractors_[modality];
      if (!json_.ReadString(extractor)) return false;
      return !extractor->empty() || json_.Fail("is empty, want a name and a version");
    });
  }

  bool ReadUtterance(int64_t index) {
    ConversationRecord::Utterance* utterance = record_.add_utterances();
    bool has_features = false;
    const bool ok = json_.ReadObject([&](const std::string& key) {
      bool is_number;
      if (key == "id") {
        if (!ReadName(utterance->mutable_id(), &is_number)) return false;
        if (is_number) utterance->set_numeric_id(true);
        return true;
      }
      if (key == "speaker") return ReadName(utterance->mutable_speaker(), &is_number);
      if (key == "label") {
        return json_.TakeNull() || ReadName(utterance->mutable_label(), &is_number);
      }
      if (key == "text") return json_.ReadString(utterance->mutable_text());
      if (key == "features") {
        has_features = true;
        return json_.TakeNull() || ReadFeatures(static_cast<int>(index));
      }
      if (key != kMetadata && unknown_keys_ == UnknownKeys::kRefuse) {
        return json_.Fail(
            UnknownKey(key, {"id", "speaker", "label", "text", "features", kMetadata}));
      }
      return ReadExtra(key, utterance->mutable_extras());
    });
    if (!ok) return false;
    if (!utterance->has_speaker()) return json_.Fail("has no \"speaker\", want a name");
    return has_features || LackFeatures(static_cast<int>(index), *utterance);
  }

  // Notes an utterance without the key "features"; fails where another key is meant to be it.
  bool LackFeatures(int index, const ConversationRecord::Utterance& utterance) {
    if (without_features_ < 0) without_features_ = index;
    for (const ConversationRecord::Extra& extra : utterance.extras()) {
      if (NearestName(extra.key(), {"features"}).empty()) continue;
      return json_.Fail(absl::StrCat("has no \"features\"; is it \"", extra.key(), "\"?"));
    }
    return true;
  }

  // What has been read of a modality.
  struct Reading {
    int first = 0;  // the first utterance that has it: it says how wide it is
    int next = 0;   // the utterance behind the last one that has it
  };

  // Notes the utterances from the last one that has a modality up to `end` as without it.
  void AddAbsent(int modality, int end) {
    for (int i = readings_[modality].next; i < end; ++i) {
      record_.mutable_modalities(modality)->add_absent(i);
    }
  }

  // The first utterance that has a modality says how wide it is, with how many streams.
  bool ReadFeatures(int utterance) {
    return json_.ReadObject([&](const std::string& key) {
      if (key.empty()) return json_.Fail("has a modality without a name");
      if (json_.TakeNull() || json_.TakeEmptyList()) return true;
      int m = 0;
      while (m < record_.modalities_size() && record_.modalities(m).name() != key) ++m;
      if (m == record_.modalities_size()) {
        if (m == kMaxModalities) return TooMany(kMaxModalities, "modalities");
        record_.add_modalities()->set_name(key);
        readings_.push_back({utterance, 0});
      }
      AddAbsent(m, utterance);
      readings_[m].next = utterance + 1;
      return ReadModality(utterance, readings_[m].first, record_.mutable_modalities(m));
    });
  }

  // `first` is the first utterance that has the modality.
  bool ReadModality(int utterance, int first, ConversationRecord::Modality* modality) {
    int streams = 1;
    if (!json_.NextIsListOfLists()) {
      if (!ReadStream(utterance, first, 0, modality)) return false;
    } else if (!json_.ReadArray([&](int64_t stream) {
                 streams = static_cast<int>(stream) + 1;
                 if (streams > kMaxStreams) return TooMany(kMaxStreams, "streams");
                 return ReadStream(utterance, first, streams - 1, modality);
               })) {
      return false;
    }
    return streams == modality->streams_size() ||
           json_.Fail(absl::StrCat("has ", streams, " streams, want ", modality->streams_size(),
                                   " as in utterances[", first, "]"));
  }

  bool ReadStream(int utterance, int first, int index, ConversationRecord::Modality* modality) {
    if (index == modality->streams_size()) {
      if (utterance > first) {
        return json_.Fail(absl::StrCat("is one stream too many, want ", modality->streams_size(),
                                       " as in utterances[", first, "]"));
      }
      modality->add_streams();
    }
    auto* values = modality->mutable_streams(index)->mutable_values();
    const int before = values->size();
    if (!json_.ReadFloats(values)) return false;
    const int width = values->size() - before;
    if (width == 0) return json_.Fail("is empty, want >= 1 numbers");
    if (!modality->has_width()) modality->set_width(width);
    if (width == modality->width()) return true;
    return json_.Fail(absl::StrCat(
        "has ", width, " values, want ", modality->width(),
        utterance > first ? absl::StrCat(" as in utterances[", first, "]") : " as in stream 0"));
  }

  datasets::JsonCursor json_;
  const UnknownKeys unknown_keys_;
  std::string first_unknown_;      // what is wrong with the first unknown key of the conversation
  int without_features_ = -1;      // the first utterance without them; -1: none
  std::vector<Reading> readings_;  // of the modalities of record_
  std::map<std::string, std::string> extractors_;
  ConversationRecord record_;
};

void AppendString(absl::string_view value, std::string* out) {
  out->push_back('"');
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (static_cast<uint8_t>(c) < 0x20) {
      absl::StrAppendFormat(out, "\\u%04x", c);
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

void AppendFloats(const float* values, int count, std::string* out) {
  out->push_back('[');
  for (int i = 0; i < count; ++i) {
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), values[i]).ptr;
    if (i > 0) out->push_back(',');
    out->append(digits.data(), end - digits.data());
  }
  out->push_back(']');
}

// For each modality and utterance, the row in its streams (RowsOf()).
using Rows = std::vector<std::vector<int>>;

// Appends the features that utterance i has: {"text":[0.5,-2],"audio":[[1],[2]]}.
void AppendFeatures(const ConversationRecord& record, const Rows& rows, int i, std::string* out) {
  out->push_back('{');
  for (int m = 0; m < record.modalities_size(); ++m) {
    const ConversationRecord::Modality& modality = record.modalities(m);
    const int64_t row = rows[m][i];
    if (row < 0) continue;
    if (out->back() != '{') out->push_back(',');
    AppendString(modality.name(), out);
    out->push_back(':');
    if (modality.streams_size() > 1) out->push_back('[');
    for (int s = 0; s < modality.streams_size(); ++s) {
      if (s > 0) out->push_back(',');
      AppendFloats(StreamValues(modality, s).data() + row * modality.width(), modality.width(),
                   out);
    }
    if (modality.streams_size() > 1) out->push_back(']');
  }
  out->push_back('}');
}

// Appends a name, or the number that it was.
void AppendName(const std::string& name, bool is_number, std::string* out) {
  if (is_number) {
    out->append(name);
  } else {
    AppendString(name, out);
  }
}

// Appends more members to those of an object.
void AppendExtras(const google::protobuf::RepeatedPtrField<ConversationRecord::Extra>& extras,
                  std::string* out) {
  if (!extras.empty()) absl::StrAppend(out, ",", ExtrasToJson(extras));
}

void AppendUtterance(const ConversationRecord& record, const Rows& rows, int i, std::string* out) {
  const ConversationRecord::Utterance& utterance = record.utterances(i);
  out->push_back('{');
  if (utterance.has_id()) {
    out->append("\"id\":");
    AppendName(utterance.id(), utterance.numeric_id(), out);
    out->push_back(',');
  }
  out->append("\"speaker\":");
  AppendString(utterance.speaker(), out);
  if (utterance.has_label()) {
    out->append(",\"label\":");
    AppendString(utterance.label(), out);
  }
  if (utterance.has_text()) {
    out->append(",\"text\":");
    AppendString(utterance.text(), out);
  }
  out->append(",\"features\":");
  AppendFeatures(record, rows, i, out);
  AppendExtras(utterance.extras(), out);
  out->push_back('}');
}

}  // namespace

absl::StatusOr<ConversationRecord> ConversationFromJson(absl::string_view json,
                                                        UnknownKeys unknown_keys) {
  return Parser(json, unknown_keys).Parse();
}

std::string ExtrasToJson(
    const google::protobuf::RepeatedPtrField<ConversationRecord::Extra>& extras) {
  std::string json;
  for (const ConversationRecord::Extra& extra : extras) {
    if (!json.empty()) json += ',';
    AppendString(extra.key(), &json);
    absl::StrAppend(&json, ":", extra.json());
  }
  return json;
}

std::string ConversationToJson(const ConversationRecord& record) {
  std::string json = "{\"id\":";
  AppendName(record.id(), record.numeric_id(), &json);
  if (record.has_split()) absl::StrAppend(&json, ",\"split\":\"", SplitName(record.split()), "\"");
  if (record.has_position()) absl::StrAppend(&json, ",\"position\":", record.position());
  const std::map<std::string, std::string> extractors = ExtractorsOf(record);
  if (!extractors.empty()) {
    json += ",\"extractors\":{";
    for (const auto& [modality, extractor] : extractors) {
      if (json.back() != '{') json += ',';
      AppendString(modality, &json);
      json += ':';
      AppendString(extractor, &json);
    }
    json += '}';
  }
  json += ",\"utterances\":[";
  Rows rows;
  for (const ConversationRecord::Modality& modality : record.modalities()) {
    rows.push_back(RowsOf(modality, record.utterances_size()));
  }
  for (int i = 0; i < record.utterances_size(); ++i) {
    if (i > 0) json += ',';
    AppendUtterance(record, rows, i, &json);
  }
  json += ']';
  AppendExtras(record.extras(), &json);
  json += '}';
  return json;
}

absl::StatusOr<std::optional<ConversationRecord>> JsonLinesReader::Next() {
  ASSIGN_OR_RETURN(const bool found, lines_.Next(&text_));
  if (!found) return std::nullopt;
  ASSIGN_OR_RETURN(ConversationRecord record, Annotate(ConversationFromJson(text_, unknown_keys_),
                                                       absl::StrCat(name_, ", line ", line())));
  return record;
}

}  // namespace cmerc
