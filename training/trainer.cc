#include "training/trainer.h"

#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "calibration/curriculum.h"
#include "calibration/evaluation.h"
#include "calibration/weighted_losses.h"
#include "config/loader.h"
#include "metrics/classification.h"
#include "metrics/json.h"
#include "profile/profiler.h"
#include "profile/progress.h"
#include "storage/atomic_file.h"
#include "storage/checkpoint.h"
#include "storage/module_state.h"
#include "storage/run_folder.h"
#include "storage/trained_backbone.h"
#include "training/adam.h"
#include "training/buffer_copy.h"
#include "training/outcome.h"
#include "training/recorded_steps.h"
#include "training/resume.h"
#include "training/train_step.h"
#include "training/training_log.h"

namespace cmerc {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double PeakMemoryBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

// To the microsecond, which is what a file needs.
double Rounded(double seconds) { return std::round(seconds * 1e6) / 1e6; }

// Everything one model's training needs.
struct Stage {
  const RunConfig& config;
  const PreparedData& data;
  std::string output;
  std::string label;
  std::vector<WeightedLoss> losses;
  Curriculum curriculum;
  std::map<std::string, std::string> versions;
  TrainOptions options;
  uint64_t data_digest;
};

struct Trained {
  RunSummary summary;
  std::shared_ptr<Backbone> selected;
};

constexpr int kProfiledSteps = 8;

bool ShouldStop(const TrainOptions& options) {
  return options.should_stop != nullptr && options.should_stop();
}

// Skipped steps of an epoch that are told of one by one; the epoch's line counts them all.
constexpr int kSkippedTold = 3;

void TellSkipped(int epoch, int64_t skipped, absl::string_view why, Progress& progress) {
  if (skipped <= kSkippedTold) progress.Note(absl::StrCat("warning: skipped ", why));
  if (skipped == kSkippedTold + 1) {
    progress.Note(absl::StrCat("warning: epoch ", epoch + 1,
                               ": more steps are skipped; the epoch's line counts them"));
  }
}

// " (3 of 40 steps skipped)" or nothing.
std::string SkippedNote(const EpochReport& report) {
  if (!report.has_skipped_steps()) return "";
  return absl::StrCat(" (", report.skipped_steps().value(), " of ", report.steps(),
                      " steps skipped)");
}

// Prints and writes what was recorded in an epoch of so many steps.
absl::Status ReportProfile(const Profiler& profiler, int epoch_steps, const std::string& output) {
  const int steps = std::min(epoch_steps - 1, kProfiledSteps);
  if (steps < 1) {
    return absl::InvalidArgumentError(
        "--profile leaves the first step out, and the first epoch has no other; set a smaller "
        "training.batch_size, or leave out the curriculum");
  }
  std::cout << "\n" << FormatProfile(profiler.events(), steps, MeasurePeak()) << "\n" << std::flush;
  return WriteFileAtomically(output + "/trace.json", ChromeTrace(profiler.events()));
}

// Puts the conversations of an epoch in the order they are trained on.
void Order(const TrainingConfig& training, std::vector<int64_t>& conversations) {
  if (training.reseed_every_pass()) {
    torch::manual_seed(training.seed());
    // PyTorch's DataLoader draws a seed for its workers before anything else; with this draw the
    // orders and dropout masks that follow are the official ones.
    torch::empty({}, torch::kInt64).random_();
  }
  if (!training.shuffle()) return;
  const torch::Tensor permutation =
      torch::randperm(static_cast<int64_t>(conversations.size()), torch::kInt64);
  const std::vector<int64_t> unshuffled = conversations;
  for (size_t i = 0; i < conversations.size(); ++i) {
    conversations[i] = unshuffled[permutation[static_cast<int64_t>(i)].item<int64_t>()];
  }
}

// Begins the epoch of `state`: its order of conversations, and the snapshot.
void BeginEpoch(const Stage& stage, TrainingState& state) {
  state.epoch = EpochProgress();
  state.epoch.conversations = stage.curriculum.Conversations(state.progress.epochs());
  state.epoch.losses.resize(stage.losses.size());
  Order(stage.config.training(), state.epoch.conversations);
  if (state.snapshot != nullptr) CopyState(state.live, *state.snapshot);
}

// Trains what is left of the epoch of `state`. Of `timing` the slowest step is set. Cancelled: it
// was asked to stop, and has done so between two steps.
absl::StatusOr<EpochReport> TrainEpoch(const Stage& stage, TrainingState& state,
                                       RecordedSteps* recorded, Profiler* profiler,
                                       TimingReport* timing) {
  const TrainingConfig& training = stage.config.training();
  const int epoch = state.progress.epochs();
  EpochProgress& done = state.epoch;
  Backbone& live = state.live;
  live.train();
  if (done.conversations.empty()) BeginEpoch(stage, state);

  const std::vector<int64_t>& conversations = done.conversations;
  const auto batch_size = static_cast<size_t>(training.batch_size());
  const int64_t steps = static_cast<int64_t>((conversations.size() + batch_size - 1) / batch_size);
  EpochReport report;
  report.set_epoch(epoch);
  report.set_conversations(static_cast<int>(conversations.size()));
  report.set_steps(static_cast<int>(steps));
  for (const WeightedLoss& entry : stage.losses) report.add_losses()->set_loss(entry.name);

  Progress progress(absl::StrFormat("%sepoch %d/%d", stage.label, epoch + 1, training.epochs()),
                    steps, "step");
  double slowest_seconds = -1;
  // What a forward pass writes before its numbers turn out to be bad.
  const bool may_skip = training.on_non_finite() == TrainingConfig::SKIP_BATCH;
  std::optional<BufferCopy> buffers;
  if (may_skip) buffers.emplace(live);
  const auto indices_of = [&](int64_t step) {
    return absl::MakeConstSpan(conversations).subspan(step * batch_size, batch_size);
  };
  const auto make_batch = [&](int64_t step) {
    const ProfileScope scope("batch");
    return stage.data.MakeBatch(indices_of(step));
  };
  std::optional<Batch> next;  // on its way to a GPU while that is busy with the step before
  while (done.steps < steps) {
    const int64_t step = done.steps;
    if (ShouldStop(stage.options)) {
      return absl::CancelledError(
          absl::StrCat("in epoch ", epoch + 1, ", after step ", step, " of ", steps));
    }
    const absl::Span<const int64_t> indices = indices_of(step);
    // The first step allocates what later ones find.
    if (profiler != nullptr && step == 1) profiler->Start();
    if (profiler != nullptr && step == 1 + kProfiledSteps) profiler->Stop();
    // The event file shows the last step's.
    state.optimizer.KeepGradients(stage.options.tensorboard && step + 1 == steps);
    const auto start = std::chrono::steady_clock::now();
    if (may_skip) buffers->Take();
    const absl::StatusOr<StepReport> stepped = [&]() -> absl::StatusOr<StepReport> {
      const std::vector<int64_t> chosen(indices.begin(), indices.end());
      Batch batch;
      if (next.has_value()) {
        batch = *std::exchange(next, std::nullopt);
      } else if (recorded == nullptr || !recorded->Knows(chosen)) {
        batch = make_batch(step);
      }
      const absl::StatusOr<ComputedStep> computed =
          recorded != nullptr
              ? recorded->Compute(chosen, batch)
              : ComputeStep(live, state.snapshot != nullptr ? *state.snapshot : live,
                            state.optimizer, stage.losses, batch, stage.config.calibration(),
                            training);
      if (!computed.ok()) return computed.status();
      if (!stage.data.device.is_cpu() && recorded == nullptr && step + 1 < steps) {
        next = make_batch(step + 1);
      }
      return FinishStep(*computed, live, state.optimizer, stage.losses, training);
    }();
    ++done.steps;
    if (!stepped.ok()) {
      const std::string why =
          absl::StrCat("epoch ", epoch + 1, ", step ", step + 1, ", conversations ",
                       stage.data.Ids(indices), ": ", stepped.status().message());
      const bool skip = may_skip && stepped.status().code() == absl::StatusCode::kOutOfRange;
      if (!skip) {
        return absl::Status(stepped.status().code(),
                            epoch == 0
                                ? why
                                : absl::StrCat(why, "; ", stage.output,
                                               "/last.pth holds the weights of epoch ", epoch));
      }
      buffers->PutBack();
      if (++done.skipped == steps) {
        return absl::OutOfRangeError(
            absl::StrCat("epoch ", epoch + 1, ": every step was skipped, the last one at ", why));
      }
      TellSkipped(epoch, done.skipped, why, progress);
      continue;
    }
    const double seconds = SecondsSince(start);
    if (seconds > slowest_seconds) {
      slowest_seconds = seconds;
      StepTiming& slowest = *timing->mutable_slowest_step();
      slowest.set_seconds(Rounded(seconds));
      slowest.set_utterances(static_cast<int>(stepped->predicted.size()));
      slowest.clear_conversations();
      for (const int64_t index : indices) {
        slowest.add_conversations(stage.data.conversations[index].id);
      }
    }
    done.total += stepped->total;
    for (size_t i = 0; i < done.losses.size(); ++i) done.losses[i] += stepped->losses[i];
    done.predictions.insert(done.predictions.end(), stepped->predicted.begin(),
                            stepped->predicted.end());
    for (const int64_t index : indices) {
      const torch::Tensor truth = stage.data.conversations[index].labels.contiguous();
      done.labels.insert(done.labels.end(), truth.data_ptr<int64_t>(),
                         truth.data_ptr<int64_t>() + truth.numel());
    }
    progress.Update(
        done.steps,
        absl::StrFormat("loss %.4f", done.total / static_cast<double>(done.steps - done.skipped)));
  }
  if (done.skipped > 0) report.mutable_skipped_steps()->set_value(static_cast<int>(done.skipped));
  const auto taken = static_cast<double>(steps - done.skipped);
  report.set_total_loss(done.total / taken);
  for (size_t i = 0; i < done.losses.size(); ++i) {
    report.mutable_losses(static_cast<int>(i))->set_value(done.losses[i] / taken);
  }
  const absl::StatusOr<SplitReport> scores =
      ClassificationReport(done.labels, done.predictions, stage.data.info.class_names);
  if (!scores.ok()) return scores.status();
  report.set_train_accuracy(scores->accuracy());
  report.set_train_weighted_f1(scores->weighted_f1());
  return report;
}

// Saves a stage's state, so seldom that it takes a small share of the time.
class Saver {
 public:
  Saver(const Stage& stage, TrainingLog& log, const CheckpointMetadata& metadata)
      : path_(ResumeFile(stage.output)), log_(log), metadata_(metadata) {}

  bool IsDue() const { return SecondsSince(saved_) * kShare >= took_seconds_; }

  absl::Status Save(TrainingState& state) {
    const auto start = std::chrono::steady_clock::now();
    const absl::StatusOr<LogPosition> position = log_.Sync();
    if (!position.ok()) return position.status();
    *state.progress.mutable_log() = *position;
    absl::Status saved = SaveTrainingState(path_, state, metadata_);
    saved_ = std::chrono::steady_clock::now();
    took_seconds_ = SecondsSince(start);
    return saved;
  }

 private:
  static constexpr double kShare = 0.05;
  const std::string path_;
  TrainingLog& log_;
  const CheckpointMetadata& metadata_;
  std::chrono::steady_clock::time_point saved_ = std::chrono::steady_clock::now();
  double took_seconds_ = 0;
};

// "after epoch 3" or "in epoch 4, after step 5".
std::string Place(const TrainingState& state) {
  const int epochs = state.progress.epochs();
  if (state.epoch.conversations.empty()) return absl::StrCat("after epoch ", epochs);
  return absl::StrCat("in epoch ", epochs + 1, ", after step ", state.epoch.steps);
}

// The same bits can be promised for the same threads and versions alone.
void WarnOfOtherMachine(const TrainingState& state, const Stage& stage,
                        const CheckpointMetadata& begun) {
  std::vector<std::string> differences;
  if (state.progress.threads() != at::get_num_threads()) {
    differences.push_back(
        absl::StrCat(state.progress.threads(), " threads (now ", at::get_num_threads(), ")"));
  }
  for (const auto& [name, version] : begun.versions()) {
    const auto now = stage.versions.find(name);
    if (now != stage.versions.end() && now->second != version) {
      differences.push_back(absl::StrCat(name, " ", version, " (now ", now->second, ")"));
    }
  }
  if (differences.empty()) return;
  std::cerr << "warning: the run was begun with " << absl::StrJoin(differences, ", ")
            << "; its end may differ in the last bits from one without interruption\n";
}

std::string SelectedFile(const std::string& output) { return output + "/selected.pth"; }

// Reads the state of a stage that was interrupted, and the weights that it had selected.
absl::Status Restore(const Stage& stage, TrainingState* state, StateDict* selected) {
  const std::string path = ResumeFile(stage.output);
  CheckpointMetadata metadata;
  absl::Status restored =
      RestoreTrainingState(path, stage.data, stage.losses.size(), state, &metadata);
  if (!restored.ok()) return restored;
  if (ResolvedConfig(metadata.config()) != ResolvedConfig(stage.config)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": is of a run with another config than config.textproto beside it; was one of them "
        "changed since? Begin again: --overwrite"));
  }
  if (stage.options.tensorboard && !state->progress.log().has_event_file()) {
    return absl::InvalidArgumentError(
        "--tensorboard: the interrupted run was begun without; leave it out");
  }
  WarnOfOtherMachine(*state, stage, metadata);
  std::cout << stage.label << "goes on " << Place(*state) << "\n" << std::flush;
  if (!state->progress.has_best()) return absl::OkStatus();
  absl::StatusOr<Checkpoint> best = ReadCheckpoint(SelectedFile(stage.output));
  if (!best.ok()) return best.status();
  // An epoch that was better and then cut short is trained again, and selected again.
  const int epoch = best->metadata.has_value() ? best->metadata->epoch() : -1;
  if (epoch != state->progress.selected_epoch() && epoch < state->progress.epochs()) {
    return absl::DataLossError(
        absl::StrCat(SelectedFile(stage.output), ": holds the weights of epoch ", epoch + 1,
                     ", want those of ", state->progress.selected_epoch() + 1, ", as ", path,
                     " says; was it changed since? Begin again: --overwrite"));
  }
  *selected = std::move(best->state);
  return absl::OkStatus();
}

absl::StatusOr<Trained> TrainStage(const Stage& stage) {
  const RunConfig& config = stage.config;
  const PreparedData& data = stage.data;
  const TrainingConfig& training = config.training();
  const bool official = config.data().protocol() == DataConfig::OFFICIAL;

  absl::StatusOr<std::shared_ptr<Backbone>> live = MakeBackbone(config, data.info);
  if (!live.ok()) return live.status();
  (*live)->to(data.device);
  std::shared_ptr<Backbone> snapshot;
  if (!ViewsOf(stage.losses).empty() &&
      config.calibration().view_weights() == CalibrationConfig::EPOCH_SNAPSHOT) {
    // The same seed again: making it leaves the random stream as it was without calibration.
    absl::StatusOr<std::shared_ptr<Backbone>> made = MakeBackbone(config, data.info);
    if (!made.ok()) return made.status();
    snapshot = *made;
    snapshot->to(data.device);
  }
  Adam optimizer(
      (*live)->parameters(),
      torch::optim::AdamOptions(training.learning_rate()).weight_decay(training.weight_decay()));

  CheckpointMetadata metadata;
  *metadata.mutable_config() = config;
  *metadata.mutable_dataset() = Describe(data.info);
  if (data.standardization.has_value()) {
    *metadata.mutable_standardization() = *data.standardization;
  }
  metadata.mutable_versions()->insert(stage.versions.begin(), stage.versions.end());

  TrainingState state{**live, snapshot.get(), optimizer, {}, {}};
  state.progress.set_data_digest(stage.data_digest);
  StateDict selected;
  std::error_code none;
  const bool resumed =
      stage.options.resume && std::filesystem::exists(ResumeFile(stage.output), none);
  if (resumed) {
    const absl::Status restored = Restore(stage, &state, &selected);
    if (!restored.ok()) return restored;
  }
  state.progress.set_threads(at::get_num_threads());
  const absl::StatusOr<std::unique_ptr<TrainingLog>> log =
      resumed ? TrainingLog::Continue(stage.output, state.progress.log())
              : TrainingLog::Create(stage.output, stage.options.tensorboard);
  if (!log.ok()) return log.status();
  Saver saver(stage, **log, metadata);
  const std::optional<CurriculumReport> curriculum = stage.curriculum.Report(training.epochs());
  if (curriculum.has_value()) {
    const absl::Status written = WriteFileAtomically(absl::StrCat(stage.output, "/curriculum.json"),
                                                     ToJson(*curriculum, /*pretty=*/true));
    if (!written.ok()) return written;
  }
  std::unique_ptr<Profiler> profiler;
  if (stage.options.profile) profiler = std::make_unique<Profiler>();
  std::optional<RecordedSteps> recorded;
  if (training.cuda_graphs() && !data.device.is_cpu()) {
    recorded.emplace(**live, snapshot != nullptr ? *snapshot : **live, optimizer, stage.losses,
                     config.calibration(), training);
  }
  while (state.progress.epochs() < training.epochs()) {
    const int epoch = state.progress.epochs();
    const auto start = std::chrono::steady_clock::now();
    TimingReport timing;
    timing.set_epoch(epoch);
    absl::StatusOr<EpochReport> report = TrainEpoch(
        stage, state, recorded.has_value() ? &*recorded : nullptr, profiler.get(), &timing);
    if (recorded.has_value()) recorded->EndEpoch();
    if (absl::IsCancelled(report.status())) {
      const absl::Status saved = saver.Save(state);
      if (!saved.ok()) return saved;
    }
    if (!report.ok()) return report.status();
    timing.set_train_seconds(Rounded(SecondsSince(start)));
    if (profiler != nullptr) {
      profiler->Stop();
      const absl::Status reported = ReportProfile(*profiler, report->steps(), stage.output);
      if (!reported.ok()) return reported;
      profiler = nullptr;
    }

    absl::StatusOr<SplitReport> scores =
        Evaluate(**live, data, official ? data.test : data.valid, stage.losses, config);
    if (!scores.ok()) {
      return absl::Status(scores.status().code(),
                          absl::StrCat("epoch ", epoch + 1, ", ", official ? "test" : "validation",
                                       " split: ", scores.status().message()));
    }
    scores->mutable_calibration()->clear_bins();
    *(official ? report->mutable_test() : report->mutable_valid()) = *scores;
    const bool better = !state.progress.has_best() || scores->weighted_f1() > state.progress.best();
    const StateDict weights = TensorsOf(**live);
    metadata.set_epoch(epoch);
    if (better) {
      state.progress.set_best(scores->weighted_f1());
      state.progress.set_selected_epoch(epoch);
      selected = StateOf(**live);
      const absl::Status written = WriteCheckpoint(SelectedFile(stage.output), weights, metadata);
      if (!written.ok()) return written;
    }
    absl::Status written =
        WriteCheckpoint(absl::StrCat(stage.output, "/last.pth"), weights, metadata);
    timing.set_total_seconds(Rounded(SecondsSince(start)));
    timing.set_peak_memory_bytes(PeakMemoryBytes());
    if (written.ok()) written = (*log)->WriteEpoch(*report, timing, **live);
    (*live)->zero_grad(/*set_to_none=*/true);
    state.progress.set_epochs(epoch + 1);
    state.epoch = EpochProgress();
    if (written.ok() && (saver.IsDue() || epoch + 1 == training.epochs())) {
      written = saver.Save(state);
    }
    if (!written.ok()) return written;
    std::cout
        << absl::StrFormat(
               "%sepoch %3d/%d  %4d conversations  loss %.4f  F1 train %.4f %s %.4f%s %5.1f s%s\n",
               stage.label, epoch + 1, training.epochs(), report->conversations(),
               report->total_loss(), report->train_weighted_f1(), official ? "test" : "valid",
               scores->weighted_f1(), better ? " *" : "  ", SecondsSince(start),
               SkippedNote(*report))
        << std::flush;
  }

  if (ShouldStop(stage.options)) return absl::CancelledError("after the last epoch");
  const absl::Status closed = (*log)->Close();
  if (!closed.ok()) return closed;
  const absl::Status loaded = LoadState(selected, **live, "the selected epoch");
  if (!loaded.ok()) return loaded;
  Trained result{{}, *live};
  RunSummary& summary = result.summary;
  summary.set_protocol(ProtocolDescription(config.data().protocol()));
  summary.set_seed(training.seed());
  summary.mutable_versions()->insert(stage.versions.begin(), stage.versions.end());
  std::string backbone_name;
  google::protobuf::Any::ParseAnyTypeUrl(config.backbone().type_url(), &backbone_name);
  summary.set_backbone(backbone_name);
  int64_t parameters = 0;
  for (const torch::Tensor& parameter : (*live)->parameters()) parameters += parameter.numel();
  summary.set_parameters(static_cast<int>(parameters));
  summary.set_selected_epoch(state.progress.selected_epoch());
  const absl::Status measured =
      MeasureOutcome(**live, data, stage.losses, config, stage.output, &summary);
  if (!measured.ok()) return measured;
  if (summary.test().post_hoc_size() > 0) {
    metadata.set_epoch(state.progress.selected_epoch());
    metadata.set_temperature(summary.test().post_hoc(0).parameters(0));
    const absl::Status written = WriteCheckpoint(SelectedFile(stage.output), selected, metadata);
    if (!written.ok()) return written;
  }
  return result;
}

absl::Status WriteSummary(const RunSummary& summary, const std::string& output) {
  return WriteFileAtomically(absl::StrCat(output, "/summary.json"),
                             ToJson(summary, /*pretty=*/true));
}

// The config of the same model without calibration: no loss that needs views, no curriculum.
RunConfig WithoutCalibration(const RunConfig& config, const std::vector<WeightedLoss>& losses) {
  RunConfig result = config;
  result.clear_curriculum();
  result.clear_losses();
  for (const LossConfig& entry : config.losses()) {
    std::string name;
    google::protobuf::Any::ParseAnyTypeUrl(entry.loss().type_url(), &name);
    const bool needs_no_views = std::any_of(
        losses.begin(), losses.end(),
        [&](const WeightedLoss& loss) { return loss.name == name && loss.loss->views().empty(); });
    if (needs_no_views) *result.add_losses() = entry;
  }
  return result;
}

}  // namespace

absl::StatusOr<RunSummary> Train(const RunConfig& config, const PreparedData& data,
                                 const std::string& output,
                                 const std::map<std::string, std::string>& versions,
                                 const TrainOptions& options) {
  // What can be wrong with the config is said before anything is trained.
  absl::StatusOr<std::vector<WeightedLoss>> losses = MakeLosses(config, data.info);
  const absl::Status probed = MakeBackbone(config, data.info).status();
  std::unique_ptr<Scheduler> scheduler;
  std::vector<std::string> problems;
  if (config.training().cuda_graphs() && config.training().shuffle() &&
      !config.training().reseed_every_pass()) {
    problems.emplace_back(
        "training.cuda_graphs: with shuffle: true and reseed_every_pass: false no batch comes "
        "again, so nothing can be replayed; leave it out, or set one of them the other way");
  }
  if (!losses.ok()) problems.emplace_back(losses.status().message());
  if (!probed.ok()) problems.emplace_back(probed.message());
  if (config.has_curriculum()) {
    absl::StatusOr<std::unique_ptr<Scheduler>> made =
        Schedulers().Create(config.curriculum().scheduler());
    if (made.ok()) {
      scheduler = *std::move(made);
    } else {
      problems.push_back(absl::StrCat("curriculum.scheduler: ", made.status().message()));
    }
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));

  const bool compare = config.training().compare_uncalibrated();
  // A difficulty file that does not fit must not be found out after hours of training.
  const bool waits_for_uncalibrated = compare && scheduler != nullptr &&
                                      scheduler->needs_difficulty() &&
                                      !config.curriculum().has_difficulty_file() &&
                                      !config.curriculum().has_difficulty_checkpoint();
  absl::StatusOr<Curriculum> curriculum = Curriculum(data);
  if (!waits_for_uncalibrated) {
    curriculum = MakeCurriculum(config, data, std::move(scheduler), nullptr);
    if (!curriculum.ok()) return curriculum.status();
  }

  const absl::Status begun =
      options.resume && CanResume(output) ? ContinueRun(output) : BeginRun(config, output);
  if (!begun.ok()) return begun;
  const uint64_t data_digest = DataDigest(data);
  RunSummary uncalibrated_summary;
  if (compare) {
    const RunConfig plain_config = WithoutCalibration(config, *losses);
    absl::StatusOr<std::vector<WeightedLoss>> plain_losses = MakeLosses(plain_config, data.info);
    if (!plain_losses.ok()) return plain_losses.status();
    const std::string folder = UncalibratedFolder(output);
    const absl::Status made = MakeFolder(folder);
    if (!made.ok()) return made;
    TrainOptions plain_options = options;
    plain_options.profile = false;
    absl::StatusOr<Trained> uncalibrated =
        TrainStage({plain_config, data, folder, "uncalibrated  ", *std::move(plain_losses),
                    Curriculum(data), versions, plain_options, data_digest});
    if (!uncalibrated.ok()) return uncalibrated.status();
    uncalibrated_summary = std::move(uncalibrated->summary);
    const absl::Status written = WriteSummary(uncalibrated_summary, folder);
    if (!written.ok()) return written;
    if (waits_for_uncalibrated) {
      curriculum = MakeCurriculum(config, data, std::move(scheduler), uncalibrated->selected.get());
      if (!curriculum.ok()) return curriculum.status();
    }
  }

  absl::StatusOr<Trained> trained =
      TrainStage({config, data, output, compare ? "calibrated    " : "", *std::move(losses),
                  *std::move(curriculum), versions, options, data_digest});
  if (!trained.ok()) return trained.status();
  RunSummary summary = std::move(trained->summary);
  if (compare) *summary.mutable_uncalibrated() = std::move(uncalibrated_summary);
  const absl::Status written = WriteSummary(summary, output);
  if (!written.ok()) return written;
  const absl::Status finished = FinishRun(output);
  if (!finished.ok()) return finished;
  return summary;
}

}  // namespace cmerc
