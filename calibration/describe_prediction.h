// Predictions in words: from rows of log-probabilities to messages.
#ifndef CMERC_CALIBRATION_DESCRIBE_PREDICTION_H_
#define CMERC_CALIBRATION_DESCRIBE_PREDICTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "calibration/prediction.pb.h"
#include "core/dataset.h"
#include "core/view.h"
#include "metrics/conformal.h"

namespace cmerc {

// What answers say beside probabilities, so that users can act on them.
struct AnswerRules {
  std::optional<SetMaker> sets;         // of as many classes as the model has
  std::optional<double> abstain_below;  // in (0, 1)
};

// What a model predicts for the N utterances of some conversations, one after the other. Rows have
// C log-probabilities, float32 values.
struct PredictedRows {
  absl::Span<const double> log_probs;  // [N * C], from all evidence
  std::vector<View> views;
  std::vector<absl::Span<const double>> view_log_probs;  // [N * C] without each of `views`
  std::optional<double> temperature;                     // above 0; absent: nothing is calibrated
  AnswerRules rules = {};
};

// The predictions of conversations of these ids and numbers of utterances, whose sum is N; neither
// speakers nor labels nor ids of utterances nor what is missing are set. `class_names` has C of
// them.
std::vector<PredictedConversation> DescribePredictions(const PredictedRows& rows,
                                                       const std::vector<std::string>& ids,
                                                       const std::vector<int64_t>& lengths,
                                                       const std::vector<std::string>& class_names);

// Sets the speaker of each utterance, and the true label of those that have one, as the data set
// `info` names them; a speaker without a name is a number.
void SetSpeakersAndLabels(const Conversation& conversation, const DatasetInfo& info,
                          PredictedConversation* prediction);

// Names the modalities that each utterance lacks; nothing where it has all of them.
void SetMissing(const Conversation& conversation, const DatasetInfo& info,
                PredictedConversation* prediction);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_DESCRIBE_PREDICTION_H_
