#include "datasets/formats/stream_line.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "datasets/formats/json_cursor.h"

namespace cmerc {
namespace {

constexpr char kForm[] =
    "; a line is {\"conversation\": \"d1\", \"speaker\": \"A\", \"features\": {\"text\": [...]}} "
    "or "
    "{\"conversation\": \"d1\", \"end\": true}";

// The members of a line.
struct Members {
  std::string conversation;              // its value as JSON, "" for none
  std::string extractors = "{}";         // likewise
  ConversationRecord::Utterance others;  // all but "end", as extras
  bool ends = false;
  bool has_utterance = false;
};

// A problem of ConversationFromJson() in terms of the line.
std::string InTermsOfTheLine(absl::string_view problem) {
  if (absl::ConsumePrefix(&problem, "utterances[0].")) return std::string(problem);
  if (absl::ConsumePrefix(&problem, "utterances[0] ")) return absl::StrCat(problem, kForm);
  if (absl::ConsumePrefix(&problem, "id ")) return absl::StrCat("conversation ", problem);
  return std::string(problem);
}

absl::StatusOr<Members> ReadMembers(absl::string_view json) {
  Members members;
  datasets::JsonCursor cursor(json);
  const auto read = [&](const std::string& key) {
    std::string value;
    if (key == "utterances") {
      return cursor.Fail(
          "makes a whole conversation of the line, and a stream has an utterance a line; without "
          "--stream whole conversations are predicted");
    }
    if (!cursor.ReadValue(&value)) return false;
    if (key == "conversation") {
      members.conversation = value;
    } else if (key == "extractors") {
      members.extractors = value;
    } else if (key == "end") {
      members.ends = value == "true";
      if (!members.ends && value != "false") {
        return cursor.Fail(absl::StrCat("is ", value.substr(0, 40), ", want true or false"));
      }
    } else {
      members.has_utterance = members.has_utterance || key == "speaker" || key == "features";
      ConversationRecord::Extra* other = members.others.add_extras();
      other->set_key(key);
      other->set_json(value);
    }
    return true;
  };
  if (cursor.ReadObject(read) && cursor.ReadEnd()) return members;
  // Which of many numbers is none is better told by who reads numbers.
  const absl::StatusOr<ConversationRecord> as_utterance = ConversationFromJson(
      absl::StrCat("{\"id\":0,\"utterances\":[", json, "]}"), UnknownKeys::kKeep);
  const absl::string_view better = as_utterance.status().message();
  return absl::InvalidArgumentError(absl::StartsWith(better, "utterances[0].features.")
                                        ? InTermsOfTheLine(better)
                                        : cursor.error());
}

}  // namespace

absl::StatusOr<StreamLine> StreamLineFromJson(absl::string_view json, UnknownKeys unknown_keys) {
  absl::StatusOr<Members> members = ReadMembers(json);
  if (!members.ok()) return members.status();
  if (members->conversation.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("has no \"conversation\", want the id of one", kForm));
  }
  StreamLine line;
  line.ends = members->ends;
  const bool only_ends = line.ends && !members->has_utterance;
  // The id is checked together with an utterance that has nothing wrong.
  const std::string utterance =
      only_ends ? R"("speaker":"-","features":{"-":[0]})" : ExtrasToJson(members->others.extras());
  absl::StatusOr<ConversationRecord> record = ConversationFromJson(
      absl::StrCat("{\"id\":", members->conversation, ",\"extractors\":", members->extractors,
                   ",\"utterances\":[{", utterance, "}]}"),
      unknown_keys);
  if (!record.ok()) {
    return absl::Status(record.status().code(), InTermsOfTheLine(record.status().message()));
  }
  line.record = *std::move(record);
  if (only_ends) {
    line.record.clear_utterances();
    line.record.clear_modalities();
  }
  return line;
}

}  // namespace cmerc
