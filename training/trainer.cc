#include "training/trainer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/curriculum.h"
#include "calibration/labelled.h"
#include "calibration/missing.h"
#include "calibration/past_check.h"
#include "calibration/weighted_losses.h"
#include "config/loader.h"
#include "core/learning_rate.h"
#include "core/official_model.h"
#include "core/printable.h"
#include "core/scheduler.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "metrics/json.h"
#include "registry/registry.h"
#include "storage/atomic_file.h"
#include "storage/checkpoint.h"
#include "storage/module_state.h"
#include "storage/open_folder.h"
#include "storage/run_folder.h"
#include "storage/trained_backbone.h"
#include "training/agreement.h"
#include "training/digest.h"
#include "training/known_batches.h"
#include "training/parts_check.h"
#include "training/stage.h"
#include "training/stage_plan.h"
#include "training/starting_weights.h"
#include "training/step_profile.h"

namespace cmerc {
namespace {

// The plugins that a config asks for, made for its data.
struct Plugins {
  std::vector<WeightedLoss> losses;
  std::shared_ptr<Backbone> backbone;
  at::Generator begun;                   // the default generator, as making the backbone left it
  std::unique_ptr<Scheduler> scheduler;  // null without a curriculum
  std::shared_ptr<const LearningRate> learning_rate;  // null where it stays as it is
  std::optional<StartingWeights> start;               // none where the seed draws everything
};

// Warns where options ask for the official code and it has no such model.
void WarnOfDeparture(const Backbone& backbone) {
  const auto* const official = dynamic_cast<const OfficialModel*>(&backbone);
  const std::string departure = official != nullptr ? official->Departure() : "";
  if (!departure.empty()) std::cerr << "warning: backbone: " << departure << "\n";
}

// Adds the splits that need labels for what the protocol does with them, and have none.
void AddSplitsWithoutLabels(const RunConfig& config, const PreparedData& data,
                            std::vector<std::string>* problems) {
  const bool official = config.data().protocol() == DataConfig::OFFICIAL;
  const auto check = [&](const std::vector<int64_t>& split, const std::string& name,
                         const std::string& why) {
    if (split.empty()) return;
    const absl::Status status = CheckHasLabels(data, split, name, why);
    if (!status.ok()) problems->emplace_back(status.message());
  };
  check(data.train, "the training split", "there is nothing else to learn from");
  check(data.valid, "the validation split",
        "it selects the epoch; hold a part of the training split out: data { folds: 4 }");
  check(data.test, "the test split",
        official ? "it selects the epoch; set data { protocol: HELD_OUT }"
                 : "it is scored; leave its conversations out of the data set, and let `cmerc "
                   "predict --input=FILE` answer them");
}

// Whether anything in training shows a model that evidence lacks, so that evidence flags learn.
bool LacksEvidence(const RunConfig& config, const PreparedData& data,
                   const std::vector<WeightedLoss>& losses) {
  const CalibrationConfig::Weights weights = config.calibration().view_weights();
  const bool views_have_gradient =
      weights == CalibrationConfig::LIVE_PAIRED || weights == CalibrationConfig::LIVE_WITH_GRADIENT;
  return config.training().drop_evidence() > 0 ||
         (views_have_gradient && !ViewsOf(losses).empty()) ||
         std::any_of(data.train.begin(), data.train.end(),
                     [&](int64_t index) { return LacksAny(data.conversations[index]); });
}

// What the options of evidence and of CUDA graphs ask for that cannot be, a phrase each; `losses`
// may be null.
std::vector<std::string> ProblemsOf(const RunConfig& config, const PreparedData& data,
                                    const std::vector<WeightedLoss>* losses) {
  std::vector<std::string> problems;
  const TrainingConfig& training = config.training();
  if (training.cuda_graphs() && training.shuffle() && !training.reseed_every_pass()) {
    problems.emplace_back(
        "training.cuda_graphs: with shuffle: true and reseed_every_pass: false no batch comes "
        "again, so nothing can be replayed; leave it out, or set one of them the other way");
  }
  if (training.cuda_graphs() &&
      config.calibration().view_weights() == CalibrationConfig::LIVE_PAIRED) {
    problems.emplace_back(
        "training.cuda_graphs: cannot replay views with the dropout masks of the full prediction "
        "(calibration.view_weights: LIVE_PAIRED); leave it out");
  }
  if (training.cuda_graphs() && config.calibration().views_per_step() > 0) {
    problems.emplace_back(
        "training.cuda_graphs: what is replayed has the views of the step that it was recorded in, "
        "and calibration.views_per_step draws new ones; leave one of them out");
  }
  if (training.cuda_graphs() &&
      std::any_of(config.losses().begin(), config.losses().end(),
                  [](const LossConfig& loss) { return loss.warm_up_epochs() > 0; })) {
    problems.emplace_back(
        "training.cuda_graphs: what is replayed has the weights of the epoch that it was recorded "
        "in, so that losses.warm_up_epochs would do nothing; leave one of them out");
  }
  if (training.cuda_graphs() && losses != nullptr) {
    for (const WeightedLoss& entry : *losses) {
      if (entry.loss->State().empty()) continue;
      problems.push_back(absl::StrCat("training.cuda_graphs: ", entry.name,
                                      " changes from step to step, and what is replayed does not; "
                                      "leave one of them out"));
    }
  }
  if (training.cuda_graphs() && training.drop_evidence() > 0) {
    problems.emplace_back(
        "training.cuda_graphs: with training.drop_evidence no batch comes again, so nothing can be "
        "replayed; leave one of them out");
  }
  if (training.drop_evidence() > 0 && data.info.modalities.size() == 1) {
    problems.push_back(absl::StrCat(
        "training.drop_evidence: the data has one modality, ", data.info.modalities[0].name,
        ", and an utterance keeps its last one, so nothing can be removed; leave it out"));
  }
  if (config.calibration().evidence_flags() && losses != nullptr &&
      !LacksEvidence(config, data, *losses)) {
    problems.emplace_back(
        "calibration.evidence_flags: nothing is ever missing in training, so the flags would learn "
        "nothing and change nothing; set training { drop_evidence: 0.2 }, or calibration { "
        "view_weights: LIVE_PAIRED } with a loss that compares views, such as "
        "ShrunkDistillationOptions, or leave them out");
  }
  return problems;
}

// What the config says to start with. InvalidArgument: the file is a resume.pth. Other errors:
// those of ReadCheckpoint() and ChooseStartingWeights().
absl::StatusOr<StartingWeights> ReadStart(const TrainingConfig& training, const DatasetInfo& info,
                                          const Backbone& model) {
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Annotate(ReadCheckpoint(training.init_checkpoint()),
                                                         "training.init_checkpoint"));
  if (checkpoint.metadata.has_value() && checkpoint.metadata->has_progress()) {
    return absl::InvalidArgumentError(
        absl::StrCat("training.init_checkpoint = ", training.init_checkpoint(),
                     " holds the state of an interrupted run; name the selected.pth or last.pth "
                     "beside it"));
  }
  ASSIGN_OR_RETURN(StartingWeights start, CatchTorch([&] {
                     return ChooseStartingWeights(training, checkpoint, info, model);
                   }));
  std::cerr << NoteLine(checkpoint, training.init_checkpoint());
  if (start.report.has_warning()) {
    std::cerr << "warning: " << Printable(start.report.warning()) << "\n";
  }
  return start;
}

// Null without training.learning_rate_schedule.
absl::StatusOr<std::unique_ptr<LearningRate>> CreateLearningRate(const TrainingConfig& training) {
  if (!training.has_learning_rate_schedule()) return std::unique_ptr<LearningRate>();
  return Annotate(LearningRates().Create(training.learning_rate_schedule()),
                  "training.learning_rate_schedule");
}

// What cannot be of a run of several processes.
void AddProblemsOfProcesses(const RunConfig& config, const PreparedData& data,
                            const ProcessGroup* processes, std::vector<std::string>* problems) {
  if (processes == nullptr || processes->size() == 1) return;
  if (config.training().parts() < processes->size()) {
    problems->push_back(absl::StrCat("training.parts = ", config.training().parts(),
                                     ", must not be below the number of ",
                                     "processes that train the model, ", processes->size()));
  }
  if (!data.device.is_cpu()) {
    problems->emplace_back(
        "training.device: several processes train on processors only; set device: \"cpu\", or "
        "start "
        "one process");
  }
}

// InvalidArgument: all that is wrong with the config, a line each. A run that `goes_on` has its
// starting weights and does not read them again.
absl::StatusOr<Plugins> CheckPlan(const RunConfig& config, const PreparedData& data, bool goes_on,
                                  const ProcessGroup* processes) {
  absl::StatusOr<std::vector<WeightedLoss>> losses = MakeLosses(config, data.info);
  const absl::StatusOr<std::shared_ptr<Backbone>> backbone = MakeBackbone(config, data.info);
  at::Generator begun = at::detail::getDefaultCPUGenerator().clone();
  absl::StatusOr<std::unique_ptr<Scheduler>> scheduler = std::unique_ptr<Scheduler>();
  if (config.has_curriculum()) scheduler = Schedulers().Create(config.curriculum().scheduler());
  absl::StatusOr<std::unique_ptr<LearningRate>> rate = CreateLearningRate(config.training());
  std::optional<StartingWeights> start;

  std::vector<std::string> problems = ProblemsOf(config, data, losses.ok() ? &*losses : nullptr);
  AddSplitsWithoutLabels(config, data, &problems);
  AddProblemsOfProcesses(config, data, processes, &problems);
  if (!losses.ok()) problems.emplace_back(losses.status().message());
  if (backbone.ok()) {
    const absl::Status past = CheckPast(**backbone, PluginType(config.backbone()));
    if (!past.ok()) problems.push_back(absl::StrCat("backbone: ", past.message()));
    const absl::Status parts = CheckParts(**backbone, PluginType(config.backbone()), config);
    if (!parts.ok()) problems.push_back(absl::StrCat("backbone: ", parts.message()));
  } else {
    problems.emplace_back(backbone.status().message());
  }
  if (!scheduler.ok()) {
    problems.push_back(absl::StrCat("curriculum.scheduler: ", scheduler.status().message()));
  }
  if (!rate.ok()) problems.emplace_back(rate.status().message());
  if (backbone.ok() && !config.training().init_checkpoint().empty() && !goes_on) {
    absl::StatusOr<StartingWeights> read = ReadStart(config.training(), data.info, **backbone);
    if (read.ok()) start = *std::move(read);
    if (!read.ok()) problems.emplace_back(read.status().message());
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "\n"));
  WarnOfDeparture(**backbone);
  return Plugins{*std::move(losses),    *backbone,        std::move(begun),
                 *std::move(scheduler), *std::move(rate), std::move(start)};
}

// Whether the difficulties are those of the model that is trained without calibration.
bool WaitsForUncalibrated(const RunConfig& config, const Scheduler* scheduler) {
  return config.training().compare_uncalibrated() && scheduler != nullptr &&
         scheduler->needs_difficulty() && !config.curriculum().has_difficulty_file() &&
         !config.curriculum().has_difficulty_checkpoint();
}

// The config of the same model without calibration: no loss that needs views, no curriculum.
RunConfig WithoutCalibration(const RunConfig& config, const std::vector<WeightedLoss>& losses) {
  RunConfig result = config;
  result.clear_curriculum();
  result.clear_losses();
  for (const LossConfig& entry : config.losses()) {
    const std::string name = PluginType(entry.loss());
    const bool needs_no_views = std::any_of(
        losses.begin(), losses.end(),
        [&](const WeightedLoss& loss) { return loss.name == name && loss.loss->views().empty(); });
    if (needs_no_views) *result.add_losses() = entry;
  }
  return result;
}

struct Trained {
  RunSummary summary;
  std::shared_ptr<Backbone> selected;
  std::optional<StartingWeights> start;
};

// The error of a run that has begun to write: it is none of bad usage or input any more.
absl::Status OfRun(const absl::Status& status) {
  const bool bad_input = absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
                         absl::IsPermissionDenied(status);
  return bad_input ? absl::FailedPreconditionError(status.message()) : status;
}

// One stage from beginning to end.
absl::StatusOr<Trained> TrainStage(StagePlan plan) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Stage> stage, Stage::Open(std::move(plan)));
  RETURN_IF_ERROR(OfRun(stage->TrainEpochs()));
  absl::StatusOr<RunSummary> summary = stage->Summarize();
  RETURN_IF_ERROR(OfRun(summary.status()));
  return Trained{*std::move(summary), stage->model(), stage->start()};
}

// MakeCurriculum(); what is doubtful about it is said before anything is trained with it.
absl::StatusOr<Curriculum> MakeCurriculumAndWarn(const RunConfig& config, const PreparedData& data,
                                                 std::unique_ptr<Scheduler> scheduler,
                                                 Backbone* uncalibrated) {
  ASSIGN_OR_RETURN(Curriculum curriculum,
                   MakeCurriculum(config, data, std::move(scheduler), uncalibrated));
  if (!curriculum.warning().empty())
    std::cerr << "warning: " << Printable(curriculum.warning()) << "\n";
  return curriculum;
}

// Says before anything is written which batches are, or may be, too large for the backbone, and
// that there are too few to profile. With `curriculum` null those of the model without calibration
// alone are known.
absl::Status CheckBatches(const RunConfig& config, const PreparedData& data, const Plugins& plugins,
                          const Curriculum* curriculum, bool profile) {
  if (curriculum == nullptr || config.training().compare_uncalibrated()) {
    RETURN_IF_ERROR(
        CheckKnownBatches(*plugins.backbone, plugins.begun, config, data, Curriculum(data)));
  }
  if (curriculum != nullptr) {
    RETURN_IF_ERROR(CheckKnownBatches(*plugins.backbone, plugins.begun, config, data, *curriculum));
    const auto conversations = static_cast<int64_t>(curriculum->Conversations(0).size());
    const int64_t steps = (conversations - 1) / config.training().batch_size() + 1;
    if (profile) RETURN_IF_ERROR(StepProfile::Check(steps));
  }
  const std::string warning = BatchWarning(*plugins.backbone, config, data);
  if (!warning.empty()) std::cerr << "warning: backbone: " << Printable(warning) << "\n";
  return absl::OkStatus();
}

// FailedPrecondition: the processes that are to train the model do not have the same.
absl::Status CheckProcesses(const RunConfig& config, uint64_t data_digest, const Plugins& plugins,
                            const std::map<std::string, std::string>& versions,
                            const TrainOptions& options) {
  Facts facts(versions.begin(), versions.end());
  facts.emplace_back("threads", absl::StrCat(at::get_num_threads()));
  facts.emplace_back("config", ResolvedConfig(config));
  facts.emplace_back("digest of the data", absl::StrCat(data_digest));
  facts.emplace_back("digest of the first weights",
                     absl::StrCat(WeightsDigest(StateOf(*plugins.backbone))));
  if (plugins.start.has_value()) {
    facts.emplace_back("digest of training.init_checkpoint",
                       absl::StrCat(WeightsDigest(plugins.start->taken)));
  }
  return CheckAlike(options.processes, facts);
}

absl::Status WriteSummary(const RunSummary& summary, const std::string& output) {
  return WriteFileAtomically(absl::StrCat(output, "/summary.json"),
                             ToJson(summary, /*pretty=*/true));
}

// The first of two stages: the model without calibration, in a folder of its own in that of `plan`,
// which is the plan of the second one.
absl::StatusOr<Trained> TrainUncalibrated(const StagePlan& plan) {
  const RunConfig config = WithoutCalibration(plan.config, plan.losses);
  ASSIGN_OR_RETURN(std::vector<WeightedLoss> losses, MakeLosses(config, plan.data.info));
  const std::string folder = UncalibratedFolder(plan.output);
  if (plan.options.Writes()) RETURN_IF_ERROR(MakeFolder(folder));
  TrainOptions options = plan.options;
  options.profile = false;
  options.stop_after = 0;
  ASSIGN_OR_RETURN(
      Trained trained,
      TrainStage({config, plan.data, folder, "uncalibrated  ", std::move(losses),
                  Curriculum(plan.data), plan.versions, std::move(options), plan.data_digest,
                  plan.learning_rate, plan.start, /*keep_start=*/true}));
  if (plan.options.Writes()) RETURN_IF_ERROR(WriteSummary(trained.summary, folder));
  return trained;
}

// Train() but for the end of a folder that goes away.
absl::StatusOr<RunSummary> TrainStages(const RunConfig& config, const PreparedData& data,
                                       const std::string& output,
                                       const std::map<std::string, std::string>& versions,
                                       const TrainOptions& options) {
  // What can be wrong with the config is said before anything is trained.
  ASSIGN_OR_RETURN(const double begun,
                   FromRank0(options.processes, options.resume && CanResume(output) ? 1 : 0,
                             "whether the run goes on"));
  const bool goes_on = begun == 1;
  ASSIGN_OR_RETURN(Plugins plugins, CheckPlan(config, data, goes_on, options.processes));
  const bool compare = config.training().compare_uncalibrated();
  const bool waits = WaitsForUncalibrated(config, plugins.scheduler.get());
  Curriculum curriculum(data);
  // A difficulty file that does not fit must not be found out after hours of training.
  if (!waits) {
    ASSIGN_OR_RETURN(curriculum,
                     MakeCurriculumAndWarn(config, data, std::move(plugins.scheduler), nullptr));
  }
  RETURN_IF_ERROR(
      CheckBatches(config, data, plugins, waits ? nullptr : &curriculum, options.profile));
  const uint64_t data_digest = DataDigest(data);
  RETURN_IF_ERROR(CheckProcesses(config, data_digest, plugins, versions, options));
  if (options.Writes()) {
    RETURN_IF_ERROR(goes_on ? ContinueRun(output) : BeginRun(config, output));
  }
  StagePlan plan{config,
                 data,
                 output,
                 compare ? "calibrated    " : "",
                 std::move(plugins.losses),
                 std::move(curriculum),
                 versions,
                 options,
                 data_digest,
                 std::move(plugins.learning_rate),
                 std::move(plugins.start)};
  std::optional<RunSummary> uncalibrated_summary;
  if (compare) {
    ASSIGN_OR_RETURN(Trained uncalibrated, TrainUncalibrated(plan));
    uncalibrated_summary = std::move(uncalibrated.summary);
    plan.start = std::move(uncalibrated.start);
    if (waits) {
      ASSIGN_OR_RETURN(plan.curriculum,
                       MakeCurriculumAndWarn(config, data, std::move(plugins.scheduler),
                                             uncalibrated.selected.get()));
      RETURN_IF_ERROR(OfRun(
          CheckKnownBatches(*plugins.backbone, plugins.begun, config, data, plan.curriculum)));
    }
  }
  ASSIGN_OR_RETURN(Trained trained, TrainStage(std::move(plan)));
  if (!options.Writes()) return std::move(trained.summary);
  if (uncalibrated_summary.has_value()) {
    *trained.summary.mutable_uncalibrated() = *std::move(uncalibrated_summary);
  }
  RETURN_IF_ERROR(WriteSummary(trained.summary, output));
  RETURN_IF_ERROR(FinishRun(output));
  return std::move(trained.summary);
}

}  // namespace

absl::StatusOr<RunSummary> Train(const RunConfig& config, const PreparedData& data,
                                 const std::string& output,
                                 const std::map<std::string, std::string>& versions,
                                 const TrainOptions& options) {
  const absl::StatusOr<OpenFolder> folder = OpenFolder::Open(output);
  absl::StatusOr<RunSummary> summary = TrainStages(config, data, output, versions, options);
  // Why a file could not be written, and no success where the files are elsewhere.
  if (folder.ok()) RETURN_IF_ERROR(folder->CheckThere());
  return summary;
}

}  // namespace cmerc
