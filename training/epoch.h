// One epoch of a stage, or what is left of it.
#ifndef CMERC_TRAINING_EPOCH_H_
#define CMERC_TRAINING_EPOCH_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/batch.h"
#include "metrics/report.pb.h"
#include "profile/progress.h"
#include "training/buffer_copy.h"
#include "training/recorded_steps.h"
#include "training/resume.h"
#include "training/stage_plan.h"
#include "training/step_context.h"
#include "training/step_profile.h"
#include "training/train_step.h"
#include "training/weight_average.h"

namespace cmerc {

class Epoch {
 public:
  // The epoch after state.progress.epochs() others. Where state.epoch is empty it begins: its
  // conversations are put in order, and the snapshot, where there is one, becomes a copy of
  // state.live. `recorded` (training.cuda_graphs) and `profile` may be null; all arguments outlive
  // the epoch.
  Epoch(const StagePlan& plan, const StepContext& context, RecordedSteps* recorded,
        StepProfile* profile, TrainingState& state);

  // Takes the steps that state.epoch has not taken, shows progress, and keeps state.epoch up to
  // date: it can be saved between any two steps. Returns the epoch's report, without scores of
  // other splits than the training split.
  //
  // A step whose conversations have no labelled utterance is not taken, and nothing is drawn for
  // it.
  //
  // Cancelled: it was asked to stop, and has done so between two steps. OutOfRange: a step was
  // refused (see TrainStep()) and training.on_non_finite does not skip it, or every step was
  // skipped. FailedPrecondition: no conversation of the epoch has a label, or the processes that
  // train the model do not begin alike. Unavailable: one of them is gone. Other codes: those of
  // TrainStep(). The message names epoch, step and conversations.
  absl::StatusOr<EpochReport> Train();

  // The slowest of the steps that Train() has taken; nullopt where it took none.
  const std::optional<StepTiming>& slowest_step() const { return slowest_step_; }

 private:
  absl::Span<const int64_t> ConversationsOf(int64_t step) const;
  // How many utterances of a step have a label.
  int64_t LabelledOf(int64_t step) const;
  // The first step from `step` on with labels; steps_ where there is none.
  int64_t NextLabelled(int64_t step) const;
  // FailedPrecondition: another process begins the epoch with other weights or conversations.
  absl::Status CheckBegunAlike() const;
  // Takes a step, or skips it where it is refused.
  absl::Status TakeOrSkip(int64_t step);
  // Without what training.drop_evidence removes.
  absl::StatusOr<Batch> MakeBatch(int64_t step) const;
  // The batch of `step`, or an empty one where what was recorded of it makes it unnecessary.
  absl::StatusOr<Batch> NextBatch(int64_t step);
  // The views that `step` predicts where calibration.views_per_step draws them; nullopt: all.
  std::optional<std::vector<View>> DrawnViews(int64_t step) const;
  // What the learning rate is in `step`. Internal: its plugin says what no rate can be.
  absl::StatusOr<double> LearningRateOf(int64_t step) const;
  absl::StatusOr<StepReport> TakeStep(int64_t step);
  // OK: the step is skipped.
  absl::Status HandleRefusedStep(int64_t step, const absl::Status& refused);
  void WarnOfSkippedStep(const std::string& why);
  void Accumulate(int64_t step, const StepReport& report, double seconds);
  // How many steps were taken so far.
  double StepsTaken() const;
  absl::StatusOr<EpochReport> Report() const;

  const StagePlan& plan_;
  const StepContext context_;  // with the number of the epoch
  RecordedSteps* const recorded_;
  StepProfile* const profile_;
  TrainingState& state_;
  EpochProgress& done_;  // state_.epoch
  const int number_;     // the epoch's, from 1
  int64_t steps_ = 0;
  int64_t labelled_steps_ = 0;  // steps that have labels, and the last of them
  int64_t last_labelled_ = -1;
  std::optional<BufferCopy> buffers_;     // where steps may be skipped
  std::optional<WeightAverage> average_;  // with training.ema_decay
  std::optional<Batch> next_;             // on its way to a GPU while that is busy with a step
  std::optional<Progress> progress_;      // while it trains
  std::optional<StepTiming> slowest_step_;
  double slowest_seconds_ = -1;
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_EPOCH_H_
