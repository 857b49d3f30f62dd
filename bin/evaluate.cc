#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bin/commands.h"
#include "bin/environment.h"
#include "bin/output.h"
#include "bin/session.h"
#include "calibration/evaluation.h"
#include "calibration/weighted_losses.h"
#include "core/printable.h"
#include "core/status.h"
#include "metrics/json.h"
#include "metrics/text_report.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

// The scores of a model for a split, those without each source of evidence with `with_views`, and
// those after temperature scaling where the checkpoint has a temperature.
absl::StatusOr<SplitReport> Score(const TrainedModel& model, const std::string& split,
                                  bool with_views) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices, ConversationsOf(split, model.data));
  ASSIGN_OR_RETURN(const std::vector<WeightedLoss> losses,
                   MakeLosses(model.config, model.data.info));
  ASSIGN_OR_RETURN(const SplitPredictions predictions,
                   PredictSplit(*model.backbone, model.data, indices, losses, model.config,
                                with_views ? AllViews(model.data.info) : std::vector<View>{}));
  ASSIGN_OR_RETURN(SplitReport report, ScorePredictions(predictions, model.data.info));
  if (model.temperature.has_value()) {
    ASSIGN_OR_RETURN(*report.add_post_hoc(), ScoreRemedy({"temperature", {*model.temperature}},
                                                         predictions, model.data.info));
  }
  return report;
}

void Print(const std::string& split, const SplitReport& report) {
  std::cout << "split     " << split << "\n\n"
            << FormatSplitReport(report) << "\n"
            << FormatCalibration(report);
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
  RETURN_IF_ERROR(CheckOutput(flags, OutputKind::kScores));
  ASSIGN_OR_RETURN(const TrainedModel model, LoadTrainedModel(flags));
  ASSIGN_OR_RETURN(const SplitReport report, Score(model, split, flags.has("views")));
  Print(split, report);
  if (!flags.has("output")) return absl::OkStatus();
  EvaluationReport evaluation;
  evaluation.set_checkpoint(flags.Get("checkpoint"));
  evaluation.set_split(split);
  evaluation.set_protocol(ProtocolDescription(model.config.data().protocol()));
  const std::map<std::string, std::string> versions = Versions();
  evaluation.mutable_versions()->insert(versions.begin(), versions.end());
  *evaluation.mutable_scores() = report;
  return WriteFileAtomically(flags.Get("output"), ToJson(evaluation, /*pretty=*/true));
}

}  // namespace cmerc
