#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bin/commands.h"
#include "bin/environment.h"
#include "bin/labelled_input.h"
#include "bin/output.h"
#include "bin/session.h"
#include "calibration/evaluation.h"
#include "calibration/predictor.h"
#include "calibration/weighted_losses.h"
#include "core/printable.h"
#include "core/status.h"
#include "metrics/json.h"
#include "metrics/text_report.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

// What is scored: conversations of `data`, with a model.
struct Scored {
  Backbone& backbone;
  const PreparedData& data;
  const std::vector<int64_t>& indices;
  const RunConfig& config;
  std::optional<double> temperature;
};

// The scores, those without each source of evidence with `with_views`, and those after temperature
// scaling where the checkpoint has a temperature.
absl::StatusOr<SplitReport> Score(const Scored& scored, bool with_views) {
  const DatasetInfo& info = scored.data.info;
  ASSIGN_OR_RETURN(const std::vector<WeightedLoss> losses, MakeLosses(scored.config, info));
  ASSIGN_OR_RETURN(const SplitPredictions predictions,
                   PredictSplit(scored.backbone, scored.data, scored.indices, losses, scored.config,
                                with_views ? AllViews(info) : std::vector<View>{}));
  ASSIGN_OR_RETURN(SplitReport report, ScorePredictions(predictions, info));
  if (scored.temperature.has_value()) {
    ASSIGN_OR_RETURN(*report.add_post_hoc(),
                     ScoreRemedy({"temperature", {*scored.temperature}}, predictions, info));
  }
  return report;
}

// The scores of a split of the dataset that the config names; fills what `evaluation` says of it.
absl::StatusOr<SplitReport> ScoreSplit(const Flags& flags, const std::string& split,
                                       EvaluationReport* evaluation) {
  ASSIGN_OR_RETURN(const TrainedModel model, LoadTrainedModel(flags));
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices, ConversationsOf(split, model.data));
  std::cout << "split     " << split << "\n\n";
  evaluation->set_split(split);
  evaluation->set_protocol(ProtocolDescription(model.config.data()));
  return Score({*model.backbone, model.data, indices, model.config, model.temperature},
               flags.has("views"));
}

// The scores of the labelled conversations of --input; fills what `evaluation` says of them.
absl::StatusOr<SplitReport> ScoreInput(const Flags& flags, EvaluationReport* evaluation) {
  ASSIGN_OR_RETURN(const std::string checkpoint, CheckpointFlag(flags));
  ASSIGN_OR_RETURN(Predictor predictor, Predictor::Load(checkpoint, flags.All("set")));
  RETURN_IF_ERROR(SetUpThreads(predictor.config()));
  const std::string input = flags.Get("input");
  ASSIGN_OR_RETURN(const PreparedData data, ReadLabelledInput(input, predictor));
  int64_t utterances = 0;
  for (const Conversation& conversation : data.conversations) utterances += conversation.length();
  const std::string protocol = ProtocolDescription(predictor.config().data());
  std::cout << "data      " << OneLine(input) << ", " << data.conversations.size()
            << " conversations (" << utterances << " utterances)\n          "
            << data.info.num_classes()
            << " classes: " << OneLine(absl::StrJoin(data.info.class_names, " ")) << "\nprotocol  "
            << protocol << "\n\n";
  evaluation->mutable_input()->set_value(input);
  evaluation->set_protocol(protocol);
  return Score({predictor.backbone(), data, data.test, predictor.config(), predictor.temperature()},
               flags.has("views"));
}

void Print(const SplitReport& report) {
  std::cout << FormatSplitReport(report) << "\n" << FormatCalibration(report);
  if (!report.views().empty()) std::cout << "\n";
  for (const ViewReport& view : report.views()) {
    std::cout << absl::StrFormat(
        "without %-16s %5.1f %% of utterances are surer of the truth; mean rise of its "
        "log-probability %+.4f\n",
        OneLine(view.view()), 100 * view.share_surer_without(), view.mean_log_prob_rise());
  }
}

}  // namespace

absl::Status EvaluateCommand(const Flags& flags) {
  ASSIGN_OR_RETURN(const std::string split, SplitFlag(flags));
  for (const char* flag : {"config", "split"}) {
    if (!flags.has("input") || !flags.has(flag)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, " says which dataset to score, and --input=", flags.Get("input"),
                     " which conversations; keep one"));
  }
  RETURN_IF_ERROR(CheckOutput(flags, OutputKind::kScores));
  EvaluationReport evaluation;
  evaluation.set_checkpoint(flags.Get("checkpoint"));
  ASSIGN_OR_RETURN(const SplitReport report, flags.has("input")
                                                 ? ScoreInput(flags, &evaluation)
                                                 : ScoreSplit(flags, split, &evaluation));
  Print(report);
  if (!flags.has("output")) return absl::OkStatus();
  const std::map<std::string, std::string> versions = Versions();
  evaluation.mutable_versions()->insert(versions.begin(), versions.end());
  *evaluation.mutable_scores() = report;
  return WriteFileAtomically(flags.Get("output"), ToJson(evaluation, /*pretty=*/true));
}

}  // namespace cmerc
