#include "training/stage.h"

#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
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
#include "storage/selection_score.h"
#include "storage/trained_backbone.h"
#include "training/agreement.h"
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

// The score that selects the epoch, for its line, where that is not the weighted F1, which the line
// has anyway.
std::string SelectionNote(const SplitReport& scores, TrainingConfig::SelectBy by) {
  if (by == TrainingConfig::WEIGHTED_F1) return "";
  return absl::StrFormat("  %s %.4f", SelectionName(by), std::abs(SelectionScore(scores, by)));
}

// "  rate 0.00012" with a learning_rate_schedule, or nothing.
std::string RateNote(const EpochReport& report) {
  if (!report.has_learning_rate()) return "";
  return absl::StrFormat("  rate %.3g", report.learning_rate().value());
}

// What only options of the trainer say of a run.
void DescribeTraining(const TrainingConfig& training, const TrainingProgress& progress,
                      RunSummary* summary) {
  if (progress.has_start()) {
    *summary->mutable_start() = progress.start();
    summary->mutable_start()->clear_warning();
    if (progress.start().has_warning()) summary->add_warnings(progress.start().warning());
  }
  if (training.select_by() != TrainingConfig::WEIGHTED_F1) {
    summary->mutable_selected_by()->set_value(SelectionName(training.select_by()));
  }
  if (progress.epochs() < training.epochs()) {
    summary->mutable_stopped_early()->set_value(progress.epochs());
  }
}

// " (3 of 40 steps skipped)", " (1 of 40 steps without labels)", both or nothing.
std::string SkippedNote(const EpochReport& report) {
  std::string note;
  if (report.has_skipped_steps()) {
    absl::StrAppend(&note, " (", report.skipped_steps().value(), " of ", report.steps(),
                    " steps skipped)");
  }
  if (report.has_steps_without_labels()) {
    absl::StrAppend(&note, " (", report.steps_without_labels().value(), " of ", report.steps(),
                    " steps without labels)");
  }
  return note;
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
  SetExtractors(plan.data.extractors, metadata.mutable_dataset());
  if (plan.data.standardization.has_value()) {
    *metadata.mutable_standardization() = *plan.data.standardization;
  } else if (!plan.data.means.empty()) {
    *metadata.mutable_training_means() = Describe(plan.data.means);
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
  // All have the same seed, so each leaves the random stream as the first one left it.
  ASSIGN_OR_RETURN(std::shared_ptr<Backbone> live, MakeModel(plan));
  std::shared_ptr<Backbone> snapshot;
  if (!ViewsOf(plan.losses).empty() &&
      plan.config.calibration().view_weights() == CalibrationConfig::EPOCH_SNAPSHOT) {
    ASSIGN_OR_RETURN(snapshot, MakeModel(plan));
  }
  std::shared_ptr<Backbone> average;
  if (plan.config.training().ema_decay() > 0) {
    ASSIGN_OR_RETURN(average, MakeModel(plan));
  }
  std::unique_ptr<Stage> stage(
      new Stage(std::move(plan), std::move(live), std::move(snapshot), std::move(average)));
  RETURN_IF_ERROR(stage->OpenFiles());
  return stage;
}

Stage::Stage(StagePlan plan, std::shared_ptr<Backbone> live, std::shared_ptr<Backbone> snapshot,
             std::shared_ptr<Backbone> average)
    : plan_(std::move(plan)),
      test_selects_(plan_.config.data().protocol() == DataConfig::OFFICIAL),
      live_(std::move(live)),
      snapshot_(std::move(snapshot)),
      average_(std::move(average)),
      optimizer_(live_->parameters(),
                 torch::optim::AdamOptions(plan_.config.training().learning_rate())
                     .weight_decay(plan_.config.training().weight_decay())),
      context_{*live_,
               snapshot_ != nullptr ? *snapshot_ : *live_,
               optimizer_,
               plan_.losses,
               plan_.config.calibration(),
               plan_.config.training()},
      state_{*live_, snapshot_.get(), optimizer_, plan_.losses, {}, {}, average_.get(), {}},
      metadata_(DescribeModel(plan_)) {
  const TrainingConfig& training = plan_.config.training();
  optimizer_.DecoupleWeightDecay(training.optimizer() == TrainingConfig::ADAMW);
  state_.progress.set_data_digest(plan_.data_digest);
  if (plan_.options.profile && plan_.options.Writes()) profile_.emplace();
  if (training.patience() > 0) {
    first_of_all_ = FirstEpochOfAll(plan_.curriculum, plan_.data.train.size(), training.epochs());
  }
  if (training.cuda_graphs() && !plan_.data.device.is_cpu()) {
    recorded_.emplace(context_);
  }
}

absl::Status Stage::OpenFiles() {
  const std::string resume_file = ResumeFile(plan_.output);
  const bool writes = plan_.options.Writes();
  if (writes) {
    ASSIGN_OR_RETURN(folder_, OpenFolder::Open(plan_.output));
  }
  std::error_code none;
  const bool saved = plan_.options.resume && std::filesystem::exists(resume_file, none);
  // What rank 0 sees before it writes anything.
  ASSIGN_OR_RETURN(const double goes_on,
                   FromRank0(plan_.options.processes, saved ? 1 : 0, "whether the run goes on"));
  if (goes_on == 1) {
    ASSIGN_OR_RETURN(selected_, RestoreStage(plan_, &state_));
  } else {
    RETURN_IF_ERROR(Start());
  }
  state_.progress.set_threads(at::get_num_threads());
  return writes ? OpenLog(goes_on == 1) : absl::OkStatus();
}

absl::Status Stage::OpenLog(bool goes_on) {
  ASSIGN_OR_RETURN(log_, goes_on ? TrainingLog::Continue(plan_.output, state_.progress.log())
                                 : TrainingLog::Create(plan_.output, plan_.options.tensorboard));
  const std::string resume_file = ResumeFile(plan_.output);
  saver_.emplace(resume_file, *log_, metadata_);
  const std::optional<CurriculumReport> curriculum =
      plan_.curriculum.Report(plan_.config.training().epochs());
  if (!curriculum.has_value()) return absl::OkStatus();
  return WriteFileAtomically(absl::StrCat(plan_.output, "/curriculum.json"),
                             ToJson(*curriculum, /*pretty=*/true));
}

absl::Status Stage::Start() {
  if (plan_.config.training().init_checkpoint().empty()) return absl::OkStatus();
  const bool whole = plan_.start.has_value() &&
                     static_cast<int>(plan_.start->taken.size()) == plan_.start->report.tensors();
  if (!whole) {
    return absl::DataLossError(absl::StrCat(
        plan_.output,
        ": the run goes on, and the resume.pth that held what it was begun with "
        "(training.init_checkpoint) is gone or was changed; begin again: --overwrite"));
  }
  RETURN_IF_ERROR(StartWith(*plan_.start, *live_));
  *state_.progress.mutable_start() = plan_.start->report;
  if (plan_.keep_start) state_.start = plan_.start->taken;
  std::cout << plan_.label << DescribeStart(plan_.start->report) << "\n" << std::flush;
  return absl::OkStatus();
}

std::optional<StartingWeights> Stage::start() const {
  if (!state_.progress.has_start()) return std::nullopt;
  return StartingWeights{state_.start, state_.progress.start()};
}

bool Stage::IsOver() const {
  const TrainingConfig& training = plan_.config.training();
  const int epochs = state_.progress.epochs();
  if (epochs >= training.epochs()) return true;
  return training.patience() > 0 && state_.progress.has_best() &&
         EpochsWaited(epochs, state_.progress.selected_epoch(), first_of_all_) >=
             training.patience();
}

bool Stage::IsToStop() const {
  const int stop_after = plan_.options.stop_after;
  return stop_after > 0 && (state_.progress.epochs() >= stop_after || IsOver());
}

absl::Status Stage::TrainEpochs() {
  while (!IsOver() && !IsToStop()) RETURN_IF_ERROR(TrainEpoch());
  if (IsToStop()) {
    return absl::CancelledError(absl::StrCat("after epoch ", state_.progress.epochs(), " of ",
                                             plan_.config.training().epochs()));
  }
  PrintEnd();
  return absl::OkStatus();
}

absl::Status Stage::TrainEpoch() {
  const Stopwatch stopwatch;
  TimingReport timing;
  timing.set_epoch(state_.progress.epochs() + 1);
  absl::StatusOr<EpochReport> trained = TrainSteps(&timing);
  if (absl::IsCancelled(trained.status())) {
    RETURN_IF_ERROR(SaveState());
  }
  ASSIGN_OR_RETURN(EpochReport report, std::move(trained));
  timing.set_train_seconds(ToMicrosecond(stopwatch.Seconds()));
  RETURN_IF_ERROR(ReportProfile(report));

  // One process scores for all, so that they select the same.
  SplitReport scores;
  if (plan_.options.Writes()) {
    ASSIGN_OR_RETURN(scores, Score());
  }
  *(test_selects_ ? report.mutable_test() : report.mutable_valid()) = scores;
  ASSIGN_OR_RETURN(
      const double score,
      FromRank0(plan_.options.processes,
                SelectionScore(scores, plan_.config.training().select_by()), "the epoch's score"));
  const bool better = !state_.progress.has_best() ||
                      IsBetter(score, state_.progress.best(), plan_.config.data().round_scores());
  RETURN_IF_ERROR(SaveWeights(better, score));
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
  RETURN_IF_ERROR(
      profile_->Report(report.steps() - report.steps_without_labels().value(), plan_.output));
  profile_.reset();
  return absl::OkStatus();
}

absl::StatusOr<SplitReport> Stage::Score() {
  ASSIGN_OR_RETURN(
      SplitReport scores,
      Annotate(Evaluate(scored(), plan_.data, test_selects_ ? plan_.data.test : plan_.data.valid,
                        plan_.losses, plan_.config),
               absl::StrCat("epoch ", state_.progress.epochs() + 1, ", ",
                            test_selects_ ? "test" : "validation", " split")));
  scores.mutable_calibration()->clear_bins();
  return scores;
}

absl::Status Stage::SaveState() {
  if (!saver_.has_value()) return absl::OkStatus();
  RETURN_IF_ERROR(folder_->CheckThere());
  return saver_->Save(state_);
}

absl::Status Stage::WriteWeights(const std::string& path, const StateDict& weights) const {
  return plan_.options.Writes() ? WriteCheckpoint(path, weights, metadata_) : absl::OkStatus();
}

absl::Status Stage::SaveWeights(bool better, double score) {
  if (folder_.has_value()) RETURN_IF_ERROR(folder_->CheckThere());
  const int epoch = state_.progress.epochs() + 1;
  const StateDict weights = TensorsOf(scored());
  metadata_.set_epoch(epoch);
  if (!better && selected_.epoch == epoch) {
    return absl::DataLossError(absl::StrCat(
        plan_.SelectedFile(), ": holds the weights of epoch ", epoch,
        ", which is not the best when it is trained again; was it changed since? Begin again: "
        "--overwrite"));
  }
  state_.progress.add_scores(score);
  if (better) {
    state_.progress.set_best(score);
    state_.progress.set_selected_epoch(epoch);
    selected_ = {StateOf(scored()), epoch};
    state_.progress.set_selected_digest(WeightsDigest(selected_.weights));
    RETURN_IF_ERROR(WriteWeights(plan_.SelectedFile(), weights));
  }
  return WriteWeights(absl::StrCat(plan_.output, "/last.pth"), weights);
}

absl::Status Stage::FinishEpoch(const EpochReport& report, const TimingReport& timing) {
  if (log_ != nullptr) RETURN_IF_ERROR(log_->WriteEpoch(report, timing, *live_));
  live_->zero_grad(/*set_to_none=*/true);
  const int epochs = state_.progress.epochs() + 1;
  state_.progress.set_epochs(epochs);
  if (report.has_steps_without_labels()) {
    state_.progress.set_steps_without_labels(state_.progress.steps_without_labels() +
                                             report.steps_without_labels().value());
  }
  state_.epoch = EpochProgress();
  const bool saves = saver_.has_value() && (saver_->IsDue() || IsOver() || IsToStop());
  return saves ? saver_->Save(state_) : absl::OkStatus();
}

void Stage::PrintEpoch(const EpochReport& report, bool better, double seconds) const {
  const SplitReport& scores = test_selects_ ? report.test() : report.valid();
  std::cout << absl::StrFormat(
                   "%sepoch %3d/%d  %4d conversations  loss %.4f  F1 train %.4f %s %.4f%s%s %5.1f "
                   "s%s%s\n",
                   plan_.label, report.epoch(), plan_.config.training().epochs(),
                   report.conversations(), report.total_loss(), report.train_weighted_f1(),
                   test_selects_ ? "test" : "valid", scores.weighted_f1(),
                   SelectionNote(scores, plan_.config.training().select_by()), better ? " *" : "  ",
                   seconds, RateNote(report), SkippedNote(report))
            << std::flush;
}

void Stage::PrintEnd() const {
  const int epochs = state_.progress.epochs();
  if (epochs >= plan_.config.training().epochs()) return;
  std::cout << plan_.label << "stops early: " << plan_.config.training().patience()
            << (plan_.config.training().patience() == 1 ? " epoch" : " epochs")
            << " without a better " << SelectionName(plan_.config.training().select_by())
            << " than epoch " << state_.progress.selected_epoch() << " has on "
            << (test_selects_ ? "test" : "valid") << "\n"
            << std::flush;
}

absl::StatusOr<RunSummary> Stage::Summarize() {
  ASSIGN_OR_RETURN(const bool stop, plan_.options.StopRequested());
  if (stop) return absl::CancelledError("after the last epoch");
  if (log_ != nullptr) RETURN_IF_ERROR(log_->Close());
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
  if (state_.progress.steps_without_labels() > 0) {
    summary.mutable_steps_without_labels()->set_value(state_.progress.steps_without_labels());
  }
  if (!plan_.curriculum.warning().empty()) summary.add_warnings(plan_.curriculum.warning());
  DescribeTraining(plan_.config.training(), state_.progress, &summary);
  AddClassWeights(plan_, &summary);
  if (!plan_.options.Writes()) return summary;
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
