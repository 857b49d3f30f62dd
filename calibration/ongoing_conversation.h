// A conversation that goes on: each utterance is predicted as it comes, from those up to it.
#ifndef CMERC_CALIBRATION_ONGOING_CONVERSATION_H_
#define CMERC_CALIBRATION_ONGOING_CONVERSATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/prediction.pb.h"
#include "calibration/predictor.h"
#include "core/backbone.h"
#include "core/dataset.h"
#include "core/view.h"

namespace cmerc {

// An answer is the last one of Predictor::Predict() for the conversation so far, up to 1e-6. Where
// the backbone can continue a conversation (Backbone::NewMemory()), the cost of an answer is that
// of one utterance; else that of predicting all of them again.
//
// It keeps the features of all utterances, and what the backbone remembers, once more for each
// view.
class OngoingConversation {
 public:
  // Answers have an entry for each of `views`.
  explicit OngoingConversation(std::vector<View> views) : views_(std::move(views)) {}

  // Predicts the next utterance: `utterance` is a conversation of it alone, as Predictor::Predict()
  // takes one, but for its speaker, who is named. Always with the same predictor. InvalidArgument:
  // what Predictor::Check() refuses, or one speaker too many. Internal: a prediction is not finite.
  // Other codes: those of Predictor::Predict(). After an error the conversation is as it was
  // before.
  absl::StatusOr<PredictedUtterance> Push(Predictor& predictor, Conversation utterance,
                                          const std::string& speaker);

  // How many utterances have been predicted.
  int64_t length() const { return static_cast<int64_t>(utterances_.size()); }

 private:
  // What is remembered of the conversation in full, or without one view.
  struct Pass {
    std::unique_ptr<Backbone::Memory> memory;
    // Of a modality view: the sum over all utterances, of each stream [1, D_m] float64.
    std::vector<torch::Tensor> sums;
  };

  // Push() for the utterance that has been added to utterances_ and speakers_.
  absl::StatusOr<PredictedUtterance> PredictLast(Predictor& predictor);
  // The first `count` utterances as one conversation.
  Conversation Prefix(int64_t count) const;
  // Lets all passes begin.
  void Begin(const Backbone& backbone);
  // Continues every pass by the utterance `index`, for which they have seen those before.
  absl::StatusOr<PredictedUtterance> Continue(Predictor& predictor, int64_t index);
  // Predicts `utterance`, prepared, without `view`, or in full where that is null.
  absl::StatusOr<Prediction> ContinuePass(Backbone& backbone, const Conversation& utterance,
                                          int64_t index, const View* view, Pass& pass) const;
  // [index + 1] bool: which utterances the utterance `index` may draw on without `view`.
  torch::Tensor SourcesOf(int64_t index, const View* view) const;

  const std::vector<View> views_;
  std::vector<Conversation> utterances_;  // each of one utterance, not prepared
  std::vector<std::string> names_;        // of their speakers
  std::vector<int64_t> speakers_;         // their indices
  std::vector<Pass> passes_;              // in full, then without each view; empty: not begun
};

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_ONGOING_CONVERSATION_H_
