#include "training/outcome.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "calibration/evaluation.h"
#include "calibration/post_hoc.h"
#include "calibration/weighted_losses.h"
#include "core/status.h"
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

// Writes what the shares of utterances surer without a source of evidence are made of.
absl::Status WriteViews(const PreparedData& data, const std::vector<int64_t>& indices,
                        const SplitPredictions& predictions, const std::string& path) {
  const auto num_classes = static_cast<size_t>(data.info.num_classes());
  std::string text;
  size_t utterance = 0;
  for (const int64_t index : indices) {
    const Conversation& conversation = data.conversations[index];
    ConversationViews line;
    line.set_id(conversation.id);
    for (const View& view : predictions.views) line.add_without()->set_view(view.name());
    for (int64_t i = 0; i < conversation.length(); ++i, ++utterance) {
      const size_t truth =
          utterance * num_classes + static_cast<size_t>(predictions.labels[utterance]);
      line.add_log_probs(predictions.log_probs[truth]);
      for (size_t v = 0; v < predictions.views.size(); ++v) {
        line.mutable_without(static_cast<int>(v))
            ->add_log_probs(predictions.view_log_probs[v][truth]);
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
                           SplitReport* report) -> absl::StatusOr<SplitPredictions> {
    ASSIGN_OR_RETURN(SplitPredictions predictions,
                     PredictSplit(selected, data, indices, losses, config, views));
    ASSIGN_OR_RETURN(*report, ScorePredictions(predictions, data.info));
    return predictions;
  };
  RETURN_IF_ERROR(measure(data.train, {}, summary->mutable_train()).status());
  std::vector<Remedy> remedies;
  if (config.data().protocol() != DataConfig::OFFICIAL) {
    ASSIGN_OR_RETURN(const SplitPredictions valid,
                     measure(data.valid, {}, summary->mutable_valid()));
    ASSIGN_OR_RETURN(remedies, FitRemedies(valid.log_probs, valid.labels, data.info.num_classes()));
  }
  ASSIGN_OR_RETURN(const SplitPredictions test,
                   measure(data.test, AllViews(data.info), summary->mutable_test()));
  for (const Remedy& remedy : remedies) {
    if (!remedy.withheld.empty()) {
      summary->add_warnings(absl::StrCat("the remedy ", remedy.method, " is withheld: on the ",
                                         summary->valid().utterances(),
                                         " utterances of the validation split ", remedy.withheld));
      continue;
    }
    ASSIGN_OR_RETURN(*summary->mutable_test()->add_post_hoc(),
                     ScoreRemedy(remedy, test, data.info));
  }
  RETURN_IF_ERROR(WriteViews(data, data.test, test, absl::StrCat(folder, "/test_views.jsonl")));
  return WritePredictions(data, data.test, test, absl::StrCat(folder, "/test_predictions.jsonl"));
}

}  // namespace cmerc
