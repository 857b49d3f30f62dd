#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bin/commands.h"
#include "bin/environment.h"
#include "bin/session.h"
#include "calibration/evaluation.h"
#include "calibration/weighted_losses.h"
#include "metrics/json.h"
#include "metrics/text_report.h"
#include "storage/atomic_file.h"

namespace cmerc {

absl::Status EvaluateCommand(const Flags& flags) {
  const absl::StatusOr<std::string> split = SplitFlag(flags);
  if (!split.ok()) return split.status();
  if (flags.has("output")) {
    const absl::Status writable = CheckWritableFile(flags.Get("output"));
    if (!writable.ok()) return writable;
  }
  absl::StatusOr<TrainedModel> model = LoadTrainedModel(flags);
  if (!model.ok()) return model.status();
  const absl::StatusOr<std::vector<int64_t>> indices = ConversationsOf(*split, model->data);
  if (!indices.ok()) return indices.status();
  const absl::StatusOr<std::vector<WeightedLoss>> losses =
      MakeLosses(model->config, model->data.info);
  if (!losses.ok()) return losses.status();
  const absl::StatusOr<SplitPredictions> predictions =
      PredictSplit(*model->backbone, model->data, *indices, *losses, model->config,
                   flags.has("views") ? AllViews(model->data.info) : std::vector<View>{});
  if (!predictions.ok()) return predictions.status();
  absl::StatusOr<SplitReport> report = ScorePredictions(*predictions, model->data.info);
  if (!report.ok()) return report.status();
  if (model->temperature.has_value()) {
    const absl::StatusOr<PostHocReport> scaled =
        ScoreRemedy({"temperature", {*model->temperature}}, *predictions, model->data.info);
    if (!scaled.ok()) return scaled.status();
    *report->add_post_hoc() = *scaled;
  }

  std::cout << "split     " << *split << "\n\n"
            << FormatSplitReport(*report) << "\n"
            << FormatCalibration(*report);
  if (!report->views().empty()) std::cout << "\n";
  for (const ViewReport& view : report->views()) {
    std::cout << absl::StrFormat(
        "without %-16s %5.1f %% of utterances are surer of the truth; mean rise of its "
        "log-probability %+.4f\n",
        view.view(), 100 * view.share_surer_without(), view.mean_log_prob_rise());
  }
  if (!flags.has("output")) return absl::OkStatus();
  EvaluationReport evaluation;
  evaluation.set_checkpoint(flags.Get("checkpoint"));
  evaluation.set_split(*split);
  evaluation.set_protocol(ProtocolDescription(model->config.data().protocol()));
  const std::map<std::string, std::string> versions = Versions();
  evaluation.mutable_versions()->insert(versions.begin(), versions.end());
  *evaluation.mutable_scores() = *report;
  return WriteFileAtomically(flags.Get("output"), ToJson(evaluation, /*pretty=*/true));
}

}  // namespace cmerc
