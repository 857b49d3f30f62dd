#include "training/outcome.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "calibration/acting.h"
#include "calibration/describe_prediction.h"
#include "calibration/evaluation.h"
#include "calibration/held_out.h"
#include "calibration/prediction_text.h"
#include "calibration/scaled_views.h"
#include "calibration/weighted_losses.h"
#include "core/status.h"
#include "metrics/conformal.h"
#include "metrics/json.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

// Writes what a model with this temperature predicts for the conversations at `indices`, without
// the views.
absl::Status WritePredictions(const PreparedData& data, const std::vector<int64_t>& indices,
                              const SplitPredictions& predictions,
                              std::optional<double> temperature, const std::string& path) {
  std::vector<std::string> ids;
  ids.reserve(indices.size());
  for (const int64_t index : indices) ids.push_back(data.conversations[index].id);
  std::vector<PredictedConversation> described =
      DescribePredictions({predictions.log_probs, {}, {}, temperature}, ids, predictions.lengths,
                          data.info.class_names);
  std::string text;
  for (size_t i = 0; i < indices.size(); ++i) {
    const Conversation& conversation = data.conversations[indices[i]];
    SetSpeakersAndLabels(conversation, data.info, &described[i]);
    SetMissing(conversation, data.info, &described[i]);
    absl::StrAppend(&text, PredictionToJson(described[i], {conversation.numeric_id, "", {}}), "\n");
  }
  return WriteFileAtomically(path, text);
}

// The predictions of the conversations at `indices`, and in `report` their scores.
absl::StatusOr<SplitPredictions> Measure(Backbone& selected, const PreparedData& data,
                                         const std::vector<int64_t>& indices,
                                         const std::vector<WeightedLoss>& losses,
                                         const RunConfig& config, const std::vector<View>& views,
                                         SplitReport* report) {
  ASSIGN_OR_RETURN(SplitPredictions predictions,
                   PredictSplit(selected, data, indices, losses, config, views));
  ASSIGN_OR_RETURN(*report, ScorePredictions(predictions, data.info));
  return predictions;
}

// The log-probability of each of these labels as a list of JSON, null where the label is none;
// `log_probs` has a row of `num_classes` for each.
std::string LogProbsToJson(absl::Span<const int64_t> labels, absl::Span<const double> log_probs,
                           size_t num_classes) {
  google::protobuf::ListValue list;
  for (size_t i = 0; i < labels.size(); ++i) {
    google::protobuf::Value* value = list.add_values();
    if (labels[i] == kUnlabelled) {
      value->set_null_value(google::protobuf::NULL_VALUE);
    } else {
      value->set_number_value(log_probs[i * num_classes + static_cast<size_t>(labels[i])]);
    }
  }
  return ToJson(list, /*pretty=*/false);
}

// The largest of each row of `num_classes` log-probabilities as a list of JSON.
std::string LargestToJson(absl::Span<const double> log_probs, size_t num_classes) {
  google::protobuf::ListValue list;
  for (size_t begin = 0; begin < log_probs.size(); begin += num_classes) {
    const absl::Span<const double> row = log_probs.subspan(begin, num_classes);
    list.add_values()->set_number_value(*std::max_element(row.begin(), row.end()));
  }
  return ToJson(list, /*pretty=*/false);
}

std::string TextToJson(const std::string& text) {
  google::protobuf::StringValue value;
  value.set_value(text);
  return ToJson(value, /*pretty=*/false);
}

// Writes what the shares of utterances surer without a source of evidence, and VRR, are made of: a
// ConversationViews a line, with what is from all evidence before what is without; Protobuf would
// put lists that hold nulls last.
absl::Status WriteViews(const PreparedData& data, const std::vector<int64_t>& indices,
                        const SplitPredictions& predictions, const std::string& path) {
  const auto num_classes = static_cast<size_t>(data.info.num_classes());
  std::string text;
  size_t begin = 0;
  for (const int64_t index : indices) {
    const Conversation& conversation = data.conversations[index];
    const auto length = static_cast<size_t>(conversation.length());
    const auto lists = [&](const std::vector<double>& all) {
      const absl::Span<const double> log_probs =
          absl::MakeConstSpan(all).subspan(begin * num_classes, length * num_classes);
      return absl::StrCat(
          ",\"log_probs\":",
          LogProbsToJson(absl::MakeConstSpan(predictions.labels).subspan(begin, length), log_probs,
                         num_classes),
          ",\"largest_log_probs\":", LargestToJson(log_probs, num_classes));
    };
    std::vector<std::string> without;
    for (size_t v = 0; v < predictions.views.size(); ++v) {
      without.push_back(absl::StrCat("{\"view\":", TextToJson(predictions.views[v].name()),
                                     lists(predictions.view_log_probs[v]), "}"));
    }
    absl::StrAppend(&text, "{\"id\":", TextToJson(conversation.id), lists(predictions.log_probs),
                    ",\"without\":[", absl::StrJoin(without, ","), "]}\n");
    begin += length;
  }
  return WriteFileAtomically(path, text);
}

// Measures what scaling the views would do, by the factor that the validation split says.
absl::Status AddScaledViews(const SplitPredictions& valid, const SplitPredictions& test,
                            const DatasetInfo& info, RunSummary* summary) {
  ASSIGN_OR_RETURN(const std::vector<ScaledViewsReport> reports,
                   MeasureScaledViews(valid, test, info.num_classes()));
  for (const ScaledViewsReport& report : reports) *summary->add_scaled_views() = report;
  return absl::OkStatus();
}

SplitPredictions WithoutViews(SplitPredictions predictions) {
  predictions.views.clear();
  predictions.view_log_probs.clear();
  return predictions;
}

}  // namespace

absl::StatusOr<Outcome> MeasureOutcome(Backbone& selected, const PreparedData& data,
                                       const std::vector<WeightedLoss>& losses,
                                       const RunConfig& config, const std::string& folder,
                                       RunSummary* summary) {
  RETURN_IF_ERROR(
      Measure(selected, data, data.train, losses, config, {}, summary->mutable_train()).status());
  std::vector<View> views;
  if (!data.test.empty()) views = AllViews(data.info);
  std::optional<SplitPredictions> valid;
  std::optional<HeldOut> held_out;
  Outcome outcome;
  if (config.data().protocol() != DataConfig::OFFICIAL) {
    ASSIGN_OR_RETURN(valid, PredictSplit(selected, data, data.valid, losses, config, views));
    // The views of this split tell how to scale those of the test split, and are not scored.
    ASSIGN_OR_RETURN(*summary->mutable_valid(), ScorePredictions(WithoutViews(*valid), data.info));
    ASSIGN_OR_RETURN(held_out, FitHeldOut(*valid, data.info, summary));
    outcome.temperature = held_out->temperature;
    outcome.sets = held_out->sets;
  }
  if (data.test.empty()) {
    summary->add_warnings(
        "the dataset has no test split, so there are no test scores: those of the validation split "
        "are of conversations that selected the epoch, and are optimistic");
    return outcome;
  }
  ASSIGN_OR_RETURN(const SplitPredictions test, Measure(selected, data, data.test, losses, config,
                                                        views, summary->mutable_test()));
  if (held_out.has_value()) {
    RETURN_IF_ERROR(
        ScoreHeldOut(*held_out, test, data.info, kReportedCoverage, summary->mutable_test()));
  }
  *summary->mutable_test()->mutable_risk_coverage() =
      ScoreRiskCoverage(test, data.info, outcome.temperature, summary->test());
  if (valid.has_value()) RETURN_IF_ERROR(AddScaledViews(*valid, test, data.info, summary));
  RETURN_IF_ERROR(WriteViews(data, data.test, test, absl::StrCat(folder, "/test_views.jsonl")));
  RETURN_IF_ERROR(WritePredictions(data, data.test, test, outcome.temperature,
                                   absl::StrCat(folder, "/test_predictions.jsonl")));
  return outcome;
}

}  // namespace cmerc
