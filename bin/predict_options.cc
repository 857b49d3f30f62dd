#include "bin/predict_options.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bin/session.h"
#include "core/status.h"
#include "datasets/formats/conversation.h"

namespace cmerc {

absl::Status BadFlag(const std::string& flag, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, why));
}

absl::StatusOr<InputOptions> InputOptionsOf(const Flags& flags) {
  InputOptions options;
  const std::string on_error = flags.has("on_error") ? flags.Get("on_error") : "FAIL";
  if (on_error != "FAIL" && on_error != "SKIP") {
    return BadFlag("on_error", absl::StrCat("=", on_error, ", must be FAIL or SKIP"));
  }
  const std::string unknown_keys = flags.has("unknown_keys") ? flags.Get("unknown_keys") : "PASS";
  if (unknown_keys != "PASS" && unknown_keys != "FAIL") {
    return BadFlag("unknown_keys", absl::StrCat("=", unknown_keys, ", must be PASS or FAIL"));
  }
  options.skip = on_error == "SKIP";
  if (unknown_keys == "FAIL") options.unknown_keys = UnknownKeys::kRefuse;
  if (flags.has("max_skipped")) {
    if (!options.skip) {
      return BadFlag("max_skipped",
                     " is about what --on_error=SKIP leaves out; add that, or leave it out");
    }
    ASSIGN_OR_RETURN(options.limit, SkipLimit::Parse(flags.Get("max_skipped")));
  }
  if (flags.has("input") || flags.has("stream")) return options;
  for (const char* flag : {"on_error", "unknown_keys"}) {
    if (!flags.has(flag)) continue;
    return BadFlag(
        flag,
        " is about the conversations of --input; a dataset is checked before it is predicted");
  }
  return options;
}

std::string WithoutTemperature(const std::string& checkpoint, const RunConfig& config) {
  return absl::StrCat(
      checkpoint, " carries no temperature, so that answers have no calibrated probabilities: ",
      config.data().protocol() == DataConfig::OFFICIAL
          ? "protocol OFFICIAL leaves no validation split to fit one on; train under HELD_OUT"
      : absl::EndsWith(checkpoint, "last.pth")
          ? "last.pth never does; take selected.pth of the same run"
          : "its validation split could not tell one (`warnings` in summary.json of its run), or "
            "it is of an earlier version, or Python saved it; take selected.pth of another run");
}

absl::StatusOr<InputPredictor> LoadInputPredictor(const Flags& flags) {
  ASSIGN_OR_RETURN(const std::string checkpoint, CheckpointFlag(flags));
  ASSIGN_OR_RETURN(Predictor predictor, Predictor::Load(checkpoint, flags.All("set")));
  std::string uncalibrated;
  if (!predictor.temperature().has_value()) {
    uncalibrated = WithoutTemperature(checkpoint, predictor.config());
    if (flags.has("require_calibrated")) return BadFlag("require_calibrated", ": " + uncalibrated);
  }
  RETURN_IF_ERROR(SetUpThreads(predictor.config()));
  return InputPredictor{std::move(predictor), std::move(uncalibrated)};
}

std::string WithoutExtractor(const ConversationRecord& record, const Extractors& trained) {
  for (const auto& [name, extractor] : trained) {
    const ConversationRecord::Modality* modality = FindModality(record, name);
    if (modality == nullptr || modality->has_extractor()) continue;
    return absl::StrCat("does not say what made its features of ", name,
                        " (\"extractors\"); this model wants those of ", extractor,
                        ", and nothing tells whether they are");
  }
  return "";
}

std::string KeyWarnings::Of(const ConversationRecord& record, const std::string& place) {
  std::vector<std::string> keys;
  const auto add = [&](const auto& extras) {
    for (const ConversationRecord::Extra& extra : extras) {
      if (extra.key() == "metadata" || seen_.size() == kMost) continue;
      if (seen_.insert(extra.key()).second) keys.push_back(absl::StrCat("\"", extra.key(), "\""));
    }
  };
  add(record.extras());
  for (const ConversationRecord::Utterance& utterance : record.utterances()) {
    add(utterance.extras());
  }
  if (keys.empty()) return "";
  return absl::StrCat(place, ": no model looks at ", absl::StrJoin(keys, ", "),
                      "; answers repeat such keys as they are (--unknown_keys=FAIL refuses them)");
}

absl::Status CheckKeys(const ConversationRecord& record, const OptionalKeys& keys) {
  for (int i = 0; i < record.utterances_size(); ++i) {
    for (const ConversationRecord::Extra& extra : record.utterances(i).extras()) {
      if (!IsAnswerKey(extra.key(), keys)) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "utterances[", i, "].", extra.key(),
          " is a key that answers have for themselves; rename it, or put it into \"metadata\""));
    }
  }
  return absl::OkStatus();
}

CarriedAlong Name(const ConversationRecord& record, PredictedConversation* prediction) {
  CarriedAlong carried{record.numeric_id(), ExtrasToJson(record.extras()), {}};
  for (int i = 0; i < record.utterances_size(); ++i) {
    const ConversationRecord::Utterance& from = record.utterances(i);
    PredictedUtterance* to = prediction->mutable_utterances(i);
    if (from.has_id()) to->mutable_id()->set_value(from.id());
    to->mutable_speaker()->set_value(from.speaker());
    if (from.has_label()) to->mutable_true_label()->set_value(from.label());
    carried.utterances.push_back({from.numeric_id(), ExtrasToJson(from.extras())});
  }
  return carried;
}

}  // namespace cmerc
