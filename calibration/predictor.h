// Predictions of a trained model for conversations that need no labels.
#ifndef CMERC_CALIBRATION_PREDICTOR_H_
#define CMERC_CALIBRATION_PREDICTOR_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "calibration/describe_prediction.h"
#include "calibration/extractors.h"
#include "calibration/missing.h"
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

// CheckpointMetadata::sets, if set, for a model of so many classes. InvalidArgument: what
// CheckSetCalibration() refuses.
absl::StatusOr<std::optional<SetCalibration>> SetCalibrationOf(const CheckpointMetadata& metadata,
                                                               int64_t num_classes);

class Predictor {
 public:
  // What a model carries beside its weights.
  struct Setup {
    RunConfig config;                          // its batch size and calibration are used
    std::optional<Standardizer> standardizer;  // absent: features are as the model wants them
    std::optional<double> temperature;         // above 0
    FeatureMeans means = {};                   // stand for what conversations lack
    std::optional<SetCalibration> sets = {};   // absent: it carries none
    Extractors extractors = {};                // of its training data, where that said
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
  // What prediction sets can be made from; absent where the checkpoint has none.
  const std::optional<SetCalibration>& sets() const { return setup_.sets; }
  // What made the features that the model was trained with; those that it is given must be of the
  // same (CheckExtractors()).
  const Extractors& extractors() const { return setup_.extractors; }
  // From now on answers say what these ask for.
  void AnswerBy(AnswerRules rules) { rules_ = std::move(rules); }
  const AnswerRules& rules() const { return rules_; }
  Backbone& backbone() { return *backbone_; }
  const Backbone& backbone() const { return *backbone_; }
  // Whether what is predicted for a conversation depends on the others in its batch by more than
  // rounding: options of the backbone ask for the official semantics, or the mean that replaces a
  // masked modality is over padding too.
  bool BatchMatesMatter() const;

  // What stands for modalities that conversations lack; empty where the model does not know.
  const FeatureMeans& means() const { return setup_.means; }

  // InvalidArgument, without the conversation's id: no utterances, features of another number,
  // width, type or length, features that are not finite, speakers outside [0, S), or modalities
  // that cannot be filled in (see FillMissing()). Labels are not looked at and may be undefined.
  absl::Status Check(const Conversation& conversation) const;

  // The conversation as the model wants it: standardized where the model's data were, and what it
  // lacks filled in. Errors are those of Check().
  absl::StatusOr<Conversation> Prepare(Conversation conversation) const;

  // Predicts conversations (at least one), as the dataset has them, in one batch, as Evaluate()
  // predicts them, and without each of `views`. Each utterance may lack any of its modalities
  // (Conversation::present); the answer says so. InvalidArgument names a conversation that Check()
  // refuses. Internal: a prediction is not finite. Other codes: those of PredictFullAndViews().
  absl::StatusOr<std::vector<PredictedConversation>> Predict(
      absl::Span<const Conversation> conversations, const std::vector<View>& views = {});

 private:
  std::shared_ptr<Backbone> backbone_;
  Setup setup_;
  AnswerRules rules_;
};

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_PREDICTOR_H_
