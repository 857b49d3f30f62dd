#include "training/outcome.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "calibration/evaluation.h"
#include "calibration/post_hoc.h"
#include "calibration/weighted_losses.h"
#include "metrics/calibration.h"
#include "metrics/json.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

absl::Status WritePredictions(const PreparedData& data, const std::vector<int64_t>& indices,
                              const SplitPredictions& predictions, const std::string& path) {
  const auto num_classes = static_cast<size_t>(data.info.num_classes());
  const std::vector<int64_t> predicted =
      PredictedClasses(predictions.log_probs, data.info.num_classes());
  std::string text;
  size_t utterance = 0;
  for (const int64_t index : indices) {
    const Conversation& conversation = data.conversations[index];
    ConversationPredictions line;
    line.set_id(conversation.id);
    for (int64_t i = 0; i < conversation.length(); ++i, ++utterance) {
      line.add_labels(static_cast<int32_t>(predictions.labels[utterance]));
      line.add_predicted(static_cast<int32_t>(predicted[utterance]));
      google::protobuf::ListValue* row = line.add_probabilities();
      for (size_t c = 0; c < num_classes; ++c) {
        row->add_values()->set_number_value(
            std::exp(predictions.log_probs[utterance * num_classes + c]));
      }
    }
    absl::StrAppend(&text, ToJson(line, /*pretty=*/false), "\n");
  }
  return WriteFileAtomically(path, text);
}

}  // namespace

absl::Status MeasureOutcome(Backbone& selected, const PreparedData& data,
                            const std::vector<WeightedLoss>& losses, const RunConfig& config,
                            const std::string& folder, RunSummary* summary) {
  const auto measure = [&](const std::vector<int64_t>& indices, const std::vector<View>& views,
                           SplitReport* out) -> absl::StatusOr<SplitPredictions> {
    absl::StatusOr<SplitPredictions> predictions =
        PredictSplit(selected, data, indices, losses, config, views);
    if (!predictions.ok()) return predictions;
    absl::StatusOr<SplitReport> report = ScorePredictions(*predictions, data.info);
    if (!report.ok()) return report.status();
    *out = *std::move(report);
    return predictions;
  };
  const absl::Status trained = measure(data.train, {}, summary->mutable_train()).status();
  if (!trained.ok()) return trained;
  std::vector<Remedy> remedies;
  if (config.data().protocol() != DataConfig::OFFICIAL) {
    const absl::StatusOr<SplitPredictions> valid =
        measure(data.valid, {}, summary->mutable_valid());
    if (!valid.ok()) return valid.status();
    absl::StatusOr<std::vector<Remedy>> fitted =
        FitRemedies(valid->log_probs, valid->labels, data.info.num_classes());
    if (!fitted.ok()) return fitted.status();
    remedies = *std::move(fitted);
  }
  const absl::StatusOr<SplitPredictions> test =
      measure(data.test, AllViews(data.info), summary->mutable_test());
  if (!test.ok()) return test.status();
  for (const Remedy& remedy : remedies) {
    const absl::StatusOr<PostHocReport> report = ScoreRemedy(remedy, *test, data.info);
    if (!report.ok()) return report.status();
    *summary->mutable_test()->add_post_hoc() = *report;
  }
  return WritePredictions(data, data.test, *test, absl::StrCat(folder, "/test_predictions.jsonl"));
}

}  // namespace cmerc
