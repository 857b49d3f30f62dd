// The training of one model, from its first weights to its summary.
#ifndef CMERC_TRAINING_STAGE_H_
#define CMERC_TRAINING_STAGE_H_

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/backbone.h"
#include "metrics/report.pb.h"
#include "storage/checkpoint.h"
#include "storage/open_folder.h"
#include "training/adam.h"
#include "training/recorded_steps.h"
#include "training/restore_stage.h"
#include "training/resume.h"
#include "training/saver.h"
#include "training/stage_plan.h"
#include "training/step_context.h"
#include "training/step_profile.h"
#include "training/stopwatch.h"
#include "training/training_log.h"

namespace cmerc {

class Stage {
 public:
  // Makes the model of `plan` and opens the files of its folder; with plan.options.resume and a
  // resume.pth there, as they were when the stage was interrupted. InvalidArgument: the config does
  // not fit the data, or resume.pth does not fit either (see RestoreStage()). Other codes: a file
  // cannot be read or written.
  static absl::StatusOr<std::unique_ptr<Stage>> Open(StagePlan plan);

  // Trains the epochs that are left, as far as training.patience goes, and after each scores it,
  // writes its weights and reports, and prints a line. Cancelled: it was asked to stop, or
  // has trained as many epochs as it was to (TrainOptions::stop_after), and all is saved that
  // Open() needs to go on. Other codes: a step was refused (see Epoch), the scores are of no use,
  // or a file cannot be written.
  absl::Status TrainEpochs();

  // Takes over the selected weights, measures them on all splits and writes the predictions of the
  // test split: in the process that writes. Cancelled: it was asked to stop.
  absl::StatusOr<RunSummary> Summarize();

  // The model: that of the selected epoch once it is summarized.
  const std::shared_ptr<Backbone>& model() const { return live_; }

  // What another stage is to start with, too; none without training.init_checkpoint.
  std::optional<StartingWeights> start() const;

 private:
  // `snapshot` and `average` may be null.
  Stage(StagePlan plan, std::shared_ptr<Backbone> live, std::shared_ptr<Backbone> snapshot,
        std::shared_ptr<Backbone> average);

  absl::Status OpenFiles();
  // What rank 0 writes into, and curriculum.json.
  absl::Status OpenLog(bool goes_on);
  // Writes resume.pth, where this process does.
  absl::Status SaveState();
  // Writes a checkpoint of these weights, where this process does.
  absl::Status WriteWeights(const std::string& path, const StateDict& weights) const;
  // Copies what the plan starts with into the model. DataLoss: the config wants it and it is gone.
  absl::Status Start();
  // Whether `epochs` are all that are trained.
  bool IsOver() const;
  // Whether they are as many as it was to train for now.
  bool IsToStop() const;
  // What is scored, selected and saved.
  Backbone& scored() const { return average_ != nullptr ? *average_ : *live_; }
  absl::Status TrainEpoch();
  // Trains an epoch's steps, and sets the slowest of them in `timing`.
  absl::StatusOr<EpochReport> TrainSteps(TimingReport* timing);
  absl::Status ReportProfile(const EpochReport& report);
  // The scores on the split that selects the epoch.
  absl::StatusOr<SplitReport> Score();
  // Writes the weights of this epoch, and selects them where they are `better`. DataLoss: they are
  // not, and selected.pth was said to hold them.
  absl::Status SaveWeights(bool better, double score);
  // Writes the reports of this epoch, and goes on to the next one.
  absl::Status FinishEpoch(const EpochReport& report, const TimingReport& timing);
  void PrintEpoch(const EpochReport& report, bool better, double seconds) const;
  void PrintEnd() const;

  const StagePlan plan_;
  // The split that selects the epoch is the test split, under the OFFICIAL protocol, or the
  // validation split.
  const bool test_selects_;
  const std::shared_ptr<Backbone> live_;
  const std::shared_ptr<Backbone> snapshot_;  // null where `live_` predicts the views
  const std::shared_ptr<Backbone> average_;   // null without training.ema_decay
  Adam optimizer_;
  const StepContext context_;
  TrainingState state_;
  CheckpointMetadata metadata_;
  SelectedWeights selected_;          // of the best epoch so far
  std::optional<OpenFolder> folder_;  // plan_.output, of the process that writes
  int first_of_all_ = 1;              // the first epoch that trains on every conversation
  std::unique_ptr<TrainingLog> log_;  // both of the process that writes
  std::optional<Saver> saver_;
  std::optional<StepProfile> profile_;     // until the first epoch is over
  std::optional<RecordedSteps> recorded_;  // with training.cuda_graphs on a GPU
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_STAGE_H_
