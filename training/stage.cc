#include "training/stage.h"

#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "calibration/evaluation.h"
#include "config/loader.h"
#include "core/status.h"
#include "metrics/json.h"
#include "registry/registry.h"
#include "storage/atomic_file.h"
#include "storage/module_state.h"
#include "storage/run_folder.h"
#include "storage/trained_backbone.h"
#include "training/digest.h"
#include "training/epoch.h"
#include "training/outcome.h"
#include "training/restore_stage.h"
#include "training/selection.h"

namespace cmerc {
namespace {

double PeakMemoryBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

// " (3 of 40 steps skipped)" or nothing.
std::string SkippedNote(const EpochReport& report) {
  if (!report.has_skipped_steps()) return "";
  return absl::StrCat(" (", report.skipped_steps().value(), " of ", report.steps(),
                      " steps skipped)");
}

absl::StatusOr<std::shared_ptr<Backbone>> MakeModel(const StagePlan& plan) {
  ASSIGN_OR_RETURN(std::shared_ptr<Backbone> model, MakeBackbone(plan.config, plan.data.info));
  model->to(plan.data.device);
  return model;
}

// What every checkpoint of the stage says of it.
CheckpointMetadata DescribeModel(const StagePlan& plan) {
  CheckpointMetadata metadata;
  // The same bytes whether the config came from its file or, resumed, from the run's own.
  *metadata.mutable_config() = WithDefaults(plan.config);
  *metadata.mutable_dataset() = Describe(plan.data.info);
  if (plan.data.standardization.has_value()) {
    *metadata.mutable_standardization() = *plan.data.standardization;
  }
  metadata.mutable_versions()->insert(plan.versions.begin(), plan.versions.end());
  return metadata;
}

// Sets the weights of the classes in losses that have any.
void AddClassWeights(const StagePlan& plan, RunSummary* summary) {
  for (const WeightedLoss& loss : plan.losses) {
    const std::vector<double> weights = loss.loss->class_weights();
    if (weights.empty()) continue;
    LossClassWeights* const entry = summary->mutable_class_weights()->add_losses();
    entry->set_loss(loss.name);
    for (size_t c = 0; c < weights.size(); ++c) {
      (*entry->mutable_weights())[plan.data.info.class_names[c]] = weights[c];
    }
  }
}

int64_t CountParameters(const Backbone& model) {
  int64_t count = 0;
  for (const torch::Tensor& parameter : model.parameters()) count += parameter.numel();
  return count;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Stage>> Stage::Open(StagePlan plan) {
  ASSIGN_OR_RETURN(std::shared_ptr<Backbone> live, MakeModel(plan));
  std::shared_ptr<Backbone> snapshot;
  if (!ViewsOf(plan.losses).empty() &&
      plan.config.calibration().view_weights() == CalibrationConfig::EPOCH_SNAPSHOT) {
    // It has the seed of `live`, so making it leaves the random stream as it was.
    ASSIGN_OR_RETURN(snapshot, MakeModel(plan));
  }
  std::unique_ptr<Stage> stage(new Stage(std::move(plan), std::move(live), std::move(snapshot)));
  RETURN_IF_ERROR(stage->OpenFiles());
  return stage;
}

Stage::Stage(StagePlan plan, std::shared_ptr<Backbone> live, std::shared_ptr<Backbone> snapshot)
    : plan_(std::move(plan)),
      test_selects_(plan_.config.data().protocol() == DataConfig::OFFICIAL),
      live_(std::move(live)),
      snapshot_(std::move(snapshot)),
      optimizer_(live_->parameters(),
                 torch::optim::AdamOptions(plan_.config.training().learning_rate())
                     .weight_decay(plan_.config.training().weight_decay())),
      context_{*live_,
               snapshot_ != nullptr ? *snapshot_ : *live_,
               optimizer_,
               plan_.losses,
               plan_.config.calibration(),
               plan_.config.training()},
      state_{*live_, snapshot_.get(), optimizer_, {}, {}},
      metadata_(DescribeModel(plan_)) {
  state_.progress.set_data_digest(plan_.data_digest);
  if (plan_.options.profile) profile_.emplace();
  if (plan_.config.training().cuda_graphs() && !plan_.data.device.is_cpu()) {
    recorded_.emplace(context_);
  }
}

absl::Status Stage::OpenFiles() {
  const std::string resume_file = ResumeFile(plan_.output);
  ASSIGN_OR_RETURN(folder_, OpenFolder::Open(plan_.output));
  std::error_code none;
  if (plan_.options.resume && std::filesystem::exists(resume_file, none)) {
    ASSIGN_OR_RETURN(selected_, RestoreStage(plan_, &state_));
    ASSIGN_OR_RETURN(log_, TrainingLog::Continue(plan_.output, state_.progress.log()));
  } else {
    ASSIGN_OR_RETURN(log_, TrainingLog::Create(plan_.output, plan_.options.tensorboard));
  }
  state_.progress.set_threads(at::get_num_threads());
  saver_.emplace(resume_file, *log_, metadata_);
  const std::optional<CurriculumReport> curriculum =
      plan_.curriculum.Report(plan_.config.training().epochs());
  if (!curriculum.has_value()) return absl::OkStatus();
  return WriteFileAtomically(absl::StrCat(plan_.output, "/curriculum.json"),
                             ToJson(*curriculum, /*pretty=*/true));
}

absl::Status Stage::TrainEpochs() {
  while (state_.progress.epochs() < plan_.config.training().epochs()) {
    RETURN_IF_ERROR(TrainEpoch());
  }
  return absl::OkStatus();
}

absl::Status Stage::TrainEpoch() {
  const Stopwatch stopwatch;
  TimingReport timing;
  timing.set_epoch(state_.progress.epochs() + 1);
  absl::StatusOr<EpochReport> trained = TrainSteps(&timing);
  if (absl::IsCancelled(trained.status())) {
    RETURN_IF_ERROR(folder_->CheckThere());
    RETURN_IF_ERROR(saver_->Save(state_));
  }
  ASSIGN_OR_RETURN(EpochReport report, std::move(trained));
  timing.set_train_seconds(ToMicrosecond(stopwatch.Seconds()));
  RETURN_IF_ERROR(ReportProfile(report));

  ASSIGN_OR_RETURN(const SplitReport scores, Score());
  *(test_selects_ ? report.mutable_test() : report.mutable_valid()) = scores;
  const bool better =
      !state_.progress.has_best() ||
      IsBetter(scores.weighted_f1(), state_.progress.best(), plan_.config.data().round_scores());
  RETURN_IF_ERROR(SaveWeights(better, scores.weighted_f1()));
  timing.set_total_seconds(ToMicrosecond(stopwatch.Seconds()));
  timing.set_peak_memory_bytes(PeakMemoryBytes());
  RETURN_IF_ERROR(FinishEpoch(report, timing));
  PrintEpoch(report, better, stopwatch.Seconds());
  return absl::OkStatus();
}

absl::StatusOr<EpochReport> Stage::TrainSteps(TimingReport* timing) {
  Epoch epoch(plan_, context_, recorded_.has_value() ? &*recorded_ : nullptr,
              profile_.has_value() ? &*profile_ : nullptr, state_);
  absl::StatusOr<EpochReport> report = epoch.Train();
  if (recorded_.has_value()) recorded_->EndEpoch();
  if (epoch.slowest_step().has_value()) *timing->mutable_slowest_step() = *epoch.slowest_step();
  return report;
}

absl::Status Stage::ReportProfile(const EpochReport& report) {
  if (!profile_.has_value()) return absl::OkStatus();
  RETURN_IF_ERROR(profile_->Report(report.steps(), plan_.output));
  profile_.reset();
  return absl::OkStatus();
}

absl::StatusOr<SplitReport> Stage::Score() {
  ASSIGN_OR_RETURN(
      SplitReport scores,
      Annotate(Evaluate(*live_, plan_.data, test_selects_ ? plan_.data.test : plan_.data.valid,
                        plan_.losses, plan_.config),
               absl::StrCat("epoch ", state_.progress.epochs() + 1, ", ",
                            test_selects_ ? "test" : "validation", " split")));
  scores.mutable_calibration()->clear_bins();
  return scores;
}

absl::Status Stage::SaveWeights(bool better, double weighted_f1) {
  RETURN_IF_ERROR(folder_->CheckThere());
  const int epoch = state_.progress.epochs() + 1;
  const StateDict weights = TensorsOf(*live_);
  metadata_.set_epoch(epoch);
  if (!better && selected_.epoch == epoch) {
    return absl::DataLossError(absl::StrCat(
        plan_.SelectedFile(), ": holds the weights of epoch ", epoch,
        ", which is not the best when it is trained again; was it changed since? Begin again: "
        "--overwrite"));
  }
  if (better) {
    state_.progress.set_best(weighted_f1);
    state_.progress.set_selected_epoch(epoch);
    selected_ = {StateOf(*live_), epoch};
    state_.progress.set_selected_digest(WeightsDigest(selected_.weights));
    RETURN_IF_ERROR(WriteCheckpoint(plan_.SelectedFile(), weights, metadata_));
  }
  return WriteCheckpoint(absl::StrCat(plan_.output, "/last.pth"), weights, metadata_);
}

absl::Status Stage::FinishEpoch(const EpochReport& report, const TimingReport& timing) {
  RETURN_IF_ERROR(log_->WriteEpoch(report, timing, *live_));
  live_->zero_grad(/*set_to_none=*/true);
  const int epochs = state_.progress.epochs() + 1;
  state_.progress.set_epochs(epochs);
  state_.epoch = EpochProgress();
  const bool last = epochs == plan_.config.training().epochs();
  return saver_->IsDue() || last ? saver_->Save(state_) : absl::OkStatus();
}

void Stage::PrintEpoch(const EpochReport& report, bool better, double seconds) const {
  const SplitReport& scores = test_selects_ ? report.test() : report.valid();
  std::cout
      << absl::StrFormat(
             "%sepoch %3d/%d  %4d conversations  loss %.4f  F1 train %.4f %s %.4f%s %5.1f s%s\n",
             plan_.label, report.epoch(), plan_.config.training().epochs(), report.conversations(),
             report.total_loss(), report.train_weighted_f1(), test_selects_ ? "test" : "valid",
             scores.weighted_f1(), better ? " *" : "  ", seconds, SkippedNote(report))
      << std::flush;
}

absl::StatusOr<RunSummary> Stage::Summarize() {
  if (plan_.options.StopRequested()) return absl::CancelledError("after the last epoch");
  RETURN_IF_ERROR(log_->Close());
  RETURN_IF_ERROR(LoadState(selected_.weights, *live_, "the selected epoch"));
  RunSummary summary;
  summary.set_protocol(ProtocolDescription(plan_.config.data()));
  summary.set_seed(plan_.config.training().seed());
  summary.mutable_versions()->insert(plan_.versions.begin(), plan_.versions.end());
  summary.set_backbone(PluginType(plan_.config.backbone()));
  summary.set_parameters(static_cast<int>(CountParameters(*live_)));
  summary.set_epochs_from(1);
  summary.set_selected_epoch(state_.progress.selected_epoch());
  summary.mutable_calibrated()->set_value(
      plan_.config.has_curriculum() ||
      std::any_of(plan_.losses.begin(), plan_.losses.end(),
                  [](const WeightedLoss& loss) { return !loss.loss->views().empty(); }));
  if (!plan_.curriculum.warning().empty()) summary.add_warnings(plan_.curriculum.warning());
  AddClassWeights(plan_, &summary);
  ASSIGN_OR_RETURN(const Outcome outcome, MeasureOutcome(*live_, plan_.data, plan_.losses,
                                                         plan_.config, plan_.output, &summary));
  if (!outcome.temperature.has_value() && !outcome.sets.has_value()) return summary;
  metadata_.set_epoch(state_.progress.selected_epoch());
  if (outcome.temperature.has_value()) metadata_.set_temperature(*outcome.temperature);
  if (outcome.sets.has_value()) *metadata_.mutable_sets() = *outcome.sets;
  RETURN_IF_ERROR(WriteCheckpoint(plan_.SelectedFile(), selected_.weights, metadata_));
  return summary;
}

}  // namespace cmerc
