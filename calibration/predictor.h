// Predictions of a trained model for conversations that need no labels.
#ifndef CMERC_CALIBRATION_PREDICTOR_H_
#define CMERC_CALIBRATION_PREDICTOR_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/prediction.pb.h"
#include "calibration/prepared_data.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "core/dataset.h"
#include "core/view.h"
#include "storage/checkpoint.pb.h"

namespace cmerc {

// CheckpointMetadata::temperature, if set. InvalidArgument: not finite or not above 0.
absl::StatusOr<std::optional<double>> TemperatureOf(const CheckpointMetadata& metadata);

class Predictor {
 public:
  // What a model carries beside its weights.
  struct Setup {
    RunConfig config;                          // its batch size and calibration are used
    std::optional<Standardizer> standardizer;  // absent: features are as the model wants them
    std::optional<double> temperature;         // above 0
  };

  // A model that `cmerc train` saved, with all that it needs; `overrides` are merged over its
  // config. NotFound: there is no such file. InvalidArgument: it is damaged, or holds weights
  // alone, as files that Python saved do, or the overrides make another model.
  static absl::StatusOr<Predictor> Load(const std::string& path,
                                        const std::vector<std::string>& overrides = {});

  // A model that is at hand. It is put into evaluation mode.
  explicit Predictor(std::shared_ptr<Backbone> backbone);
  Predictor(std::shared_ptr<Backbone> backbone, Setup setup);

  // What the model was made for: modalities in order, widths, classes. num_speakers is the most
  // that a conversation may have: where no weight depends on it, more than in training.
  const DatasetInfo& info() const { return backbone_->info(); }
  const RunConfig& config() const { return setup_.config; }
  // Absent: predictions are not calibrated.
  const std::optional<double>& temperature() const { return setup_.temperature; }
  Backbone& backbone() { return *backbone_; }
  const Backbone& backbone() const { return *backbone_; }
  // Whether what is predicted for a conversation depends on the others in its batch by more than
  // rounding: options of the backbone ask for the official semantics, or the mean that replaces a
  // masked modality is over padding too.
  bool BatchMatesMatter() const;

  // InvalidArgument, without the conversation's id: no utterances, features of another number,
  // width, type or length, features that are not finite, speakers outside [0, S). Labels are not
  // looked at and may be undefined.
  absl::Status Check(const Conversation& conversation) const;

  // The conversation as the model wants it: standardized where the model's data were. Errors are
  // those of Check().
  absl::StatusOr<Conversation> Prepare(Conversation conversation) const;

  // Predicts conversations (at least one), as the dataset has them, in one batch, as Evaluate()
  // predicts them, and without each of `views`. InvalidArgument names a conversation that Check()
  // refuses. Internal: a prediction is not finite. Other codes: those of PredictFullAndViews().
  absl::StatusOr<std::vector<PredictedConversation>> Predict(
      absl::Span<const Conversation> conversations, const std::vector<View>& views = {});

 private:
  std::shared_ptr<Backbone> backbone_;
  Setup setup_;
};

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_PREDICTOR_H_
