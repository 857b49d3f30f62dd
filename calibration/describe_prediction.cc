#include "calibration/describe_prediction.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "calibration/post_hoc.h"

namespace cmerc {
namespace {

// The position of the first of the most probable classes in a row of C.
int64_t BestOf(const double* row, int64_t num_classes) {
  return std::max_element(row, row + num_classes) - row;
}

// One row of log-probabilities and the same row of each view -> one prediction.
PredictedUtterance DescribeRow(const double* log_probs, const std::vector<View>& views,
                               const std::vector<const double*>& view_rows,
                               const std::vector<std::string>& class_names) {
  const auto num_classes = static_cast<int64_t>(class_names.size());
  PredictedUtterance result;
  const int64_t label = BestOf(log_probs, num_classes);
  const double confidence = std::exp(log_probs[label]);
  result.set_label(class_names[label]);
  for (int64_t c = 0; c < num_classes; ++c) {
    (*result.mutable_probabilities())[class_names[c]] = std::exp(log_probs[c]);
  }
  result.set_confidence(confidence);
  for (size_t v = 0; v < views.size(); ++v) {
    const double* row = view_rows[v];
    ViewChange* change = result.add_without();
    change->set_view(views[v].name());
    change->set_label(class_names[BestOf(row, num_classes)]);
    change->set_log_prob_change(row[label] - log_probs[label]);
    change->set_confidence_change(std::exp(row[label]) - confidence);
  }
  return result;
}

// Adds what temperature scaling makes of the probabilities: `row` of C log-probabilities.
void AddCalibrated(const double* row, const std::vector<std::string>& class_names,
                   PredictedUtterance* utterance) {
  const auto num_classes = static_cast<int64_t>(class_names.size());
  utterance->mutable_calibrated_confidence()->set_value(std::exp(row[BestOf(row, num_classes)]));
  for (int64_t c = 0; c < num_classes; ++c) {
    (*utterance->mutable_calibrated_probabilities())[class_names[c]] = std::exp(row[c]);
  }
}

// Adds what `rules` ask for: sets of the classes in `row`, C log-probabilities as predicted;
// declining by the largest of those in `confident`.
void AddRules(const AnswerRules& rules, absl::Span<const double> row,
              absl::Span<const double> confident, const std::vector<std::string>& class_names,
              PredictedUtterance* utterance) {
  if (rules.sets.has_value()) {
    google::protobuf::ListValue* set = utterance->mutable_set();
    for (const int64_t c : rules.sets->SetOf(row)) {
      set->add_values()->set_string_value(class_names[c]);
    }
  }
  if (rules.abstain_below.has_value()) {
    utterance->mutable_abstained()->set_value(
        !IsAnswered(ConfidenceOf(confident), *rules.abstain_below));
  }
}

}  // namespace

std::vector<PredictedConversation> DescribePredictions(
    const PredictedRows& rows, const std::vector<std::string>& ids,
    const std::vector<int64_t>& lengths, const std::vector<std::string>& class_names) {
  const auto num_classes = static_cast<int64_t>(class_names.size());
  std::vector<double> calibrated;  // [N * C], or empty
  if (rows.temperature.has_value()) {
    calibrated = Apply({"temperature", {*rows.temperature}}, rows.log_probs, num_classes);
  }
  std::vector<PredictedConversation> predictions(ids.size());
  int64_t place = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    predictions[i].set_id(ids[i]);
    for (int64_t u = 0; u < lengths[i]; ++u, place += num_classes) {
      std::vector<const double*> view_rows;
      for (const auto& view : rows.view_log_probs) view_rows.push_back(view.data() + place);
      PredictedUtterance* utterance = predictions[i].add_utterances();
      *utterance = DescribeRow(rows.log_probs.data() + place, rows.views, view_rows, class_names);
      if (!calibrated.empty()) AddCalibrated(calibrated.data() + place, class_names, utterance);
      const auto of_row = [&](absl::Span<const double> all) {
        return all.subspan(static_cast<size_t>(place), class_names.size());
      };
      AddRules(rows.rules, of_row(rows.log_probs),
               of_row(calibrated.empty() ? rows.log_probs : calibrated), class_names, utterance);
    }
  }
  return predictions;
}

void SetSpeakersAndLabels(const Conversation& conversation, const DatasetInfo& info,
                          PredictedConversation* prediction) {
  const torch::Tensor speakers = conversation.speakers.contiguous();
  const torch::Tensor labels = conversation.labels.contiguous();
  for (int i = 0; i < prediction->utterances_size(); ++i) {
    PredictedUtterance* utterance = prediction->mutable_utterances(i);
    const int64_t speaker = speakers.data_ptr<int64_t>()[i];
    utterance->mutable_speaker()->set_value(
        info.speaker_names.empty() ? absl::StrCat(speaker) : info.speaker_names[speaker]);
    const int64_t label = labels.data_ptr<int64_t>()[i];
    if (label != kUnlabelled) utterance->mutable_true_label()->set_value(info.class_names[label]);
  }
}

void SetMissing(const Conversation& conversation, const DatasetInfo& info,
                PredictedConversation* prediction) {
  if (!conversation.present.defined()) return;
  const torch::Tensor present = conversation.present.contiguous();
  const bool* has = present.data_ptr<bool>();
  for (PredictedUtterance& utterance : *prediction->mutable_utterances()) {
    for (const ModalityInfo& modality : info.modalities) {
      if (*has++) continue;
      utterance.mutable_missing()->add_values()->set_string_value(modality.name);
    }
  }
}

}  // namespace cmerc
