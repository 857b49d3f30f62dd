#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bin/commands.h"
#include "bin/configs_folder.h"
#include "bin/environment.h"
#include "bin/launch.h"
#include "bin/output.h"
#include "bin/session.h"
#include "bin/stop_signal.h"
#include "calibration/device.h"
#include "calibration/weighted_losses.h"
#include "config/loader.h"
#include "core/printable.h"
#include "core/status.h"
#include "metrics/text_report.h"
#include "processes/join.h"
#include "processes/process_group.h"
#include "processes/who_am_i.h"
#include "storage/folder_lock.h"
#include "storage/run_folder.h"
#include "storage/selection_score.h"
#include "storage/stop_after.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

bool Exists(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0;
}

// "config/examples/quickstart.textproto" -> "quickstart".
std::string Stem(const std::string& path) {
  const std::string file = path.substr(path.rfind('/') + 1);
  return file.substr(0, file.find('.'));
}

// The folder of a run that names none: runs/NAME, or runs/NAME-2 and so on where that is taken.
std::string FreshFolder(const std::string& config_path) {
  const std::string base = absl::StrCat("runs/", Stem(config_path));
  std::string folder = base;
  for (int i = 2; !RunFiles(folder).empty() || HoldsExperiment(folder) || IsLocked(folder); ++i) {
    folder = absl::StrCat(base, "-", i);
  }
  return folder;
}

// Creates the folder and its parents, and appends those that were not there to `created`.
// InvalidArgument: one cannot be created, or `folder` is no folder.
absl::Status MakeFolders(const std::string& folder, std::vector<std::string>* created) {
  for (size_t i = 1; i <= folder.size(); ++i) {
    if (i < folder.size() && folder[i] != '/') continue;
    const std::string prefix = folder.substr(0, i);
    if (mkdir(prefix.c_str(), 0777) == 0) {
      created->push_back(prefix);
      continue;
    }
    if (errno == EEXIST) continue;
    return absl::InvalidArgumentError(absl::StrCat("--output=", folder, ": cannot create ", prefix,
                                                   ": ", std::strerror(errno),
                                                   "; choose a folder that can be written"));
  }
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--output=", folder, ": this is ",
                     lstat(folder.c_str(), &info) == 0 && S_ISLNK(info.st_mode)
                         ? "a link that leads to no folder"
                         : "not a folder",
                     "; choose another"));
  }
  return absl::OkStatus();
}

// The file in which a run keeps its config.
std::string ConfigOf(const std::string& output) { return output + "/config.textproto"; }

// InvalidArgument: flags that do not go together, or too few of them.
absl::Status CheckFlags(const Flags& flags) {
  const bool resume = flags.has("resume");
  if (resume && !flags.has("output")) {
    return absl::InvalidArgumentError(
        "--resume goes on with the run in --output=DIR; name that folder");
  }
  for (const char* other : {"overwrite", "profile"}) {
    if (resume && flags.has(other)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--resume and --", other, " exclude each other; leave one out"));
    }
  }
  if (flags.has("config")) return absl::OkStatus();
  if (!resume) {
    return absl::InvalidArgumentError(
        absl::StrCat("--config=FILE is missing; try --config=", ConfigsFolder(),
                     "/examples/quickstart.textproto"));
  }
  if (flags.has("set")) {
    return absl::InvalidArgumentError(
        "--set: --resume goes on with the config of the run as it is; leave --set out");
  }
  if (!Exists(ConfigOf(flags.Get("output")))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--output=", flags.Get("output"),
        " holds no run to go on with (no config.textproto); begin one with --config=FILE"));
  }
  return absl::OkStatus();
}

// InvalidArgument: the run in `output` was begun with another config.
absl::Status CheckSameConfig(const RunConfig& config, const std::string& output) {
  ASSIGN_OR_RETURN(const RunConfig begun, LoadConfig(ConfigOf(output), {}));
  const std::vector<std::string> theirs = absl::StrSplit(ResolvedConfig(begun), '\n');
  const std::vector<std::string> ours = absl::StrSplit(ResolvedConfig(config), '\n');
  for (size_t i = 0; i < std::max(theirs.size(), ours.size()); ++i) {
    const std::string was = i < theirs.size() ? theirs[i] : "";
    const std::string is = i < ours.size() ? ours[i] : "";
    if (was == is) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--resume: the run in ", output, " was begun with another config (", ConfigOf(output), ":",
        i + 1, ": \"", absl::StripAsciiWhitespace(was), "\", now \"",
        absl::StripAsciiWhitespace(is),
        "\"); leave out --config and --set to go on with its own, or choose another --output"));
  }
  return absl::OkStatus();
}

// What to say of a run that failed with `status`: how to go on, unless the same command would only
// end in the same way.
absl::Status WithWayOn(const absl::Status& status, const std::string& output) {
  const std::string why = absl::IsCancelled(status) ? absl::StrCat("stopped ", status.message())
                                                    : std::string(status.message());
  const bool again = absl::IsInvalidArgument(status) || absl::IsOutOfRange(status) ||
                     absl::IsDataLoss(status) || absl::IsFailedPrecondition(status) ||
                     !CanResume(output);
  if (again) return absl::Status(status.code(), why);
  return absl::Status(status.code(),
                      absl::StrCat(why, "\nto go on: cmerc train --resume --output=", output));
}

// InvalidArgument: the run that `output` holds may not be touched with these flags, or was begun
// with another config.
absl::Status CheckEarlierRun(const Flags& flags, const RunConfig& config,
                             const std::string& output) {
  if (HoldsExperiment(output)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--output=", output,
                     " holds an experiment, not a run; choose another folder, or go on with the "
                     "experiment: cmerc experiment --output=",
                     output, " with its --config"));
  }
  if (flags.has("resume")) {
    const bool compare = flags.has("config") && Exists(ConfigOf(output));
    return compare ? CheckSameConfig(config, output) : absl::OkStatus();
  }
  if (!HoldsRun(output) || flags.has("overwrite")) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--output=", output, " holds a run already; choose another folder, ",
      CanResume(output) ? "--resume to go on with it, or --overwrite" : "or --overwrite"));
}

TrainOptions OptionsOf(const Flags& flags) {
  TrainOptions options;
  options.profile = flags.has("profile");
  options.tensorboard = flags.has("tensorboard");
  options.resume = flags.has("resume");
  options.should_stop = [] { return StopSignal() != 0; };
  return options;
}

// "60", or "17 (stopped early, at most 60)".
std::string EpochsOf(const RunSummary& summary, const RunConfig& config) {
  const int asked_for = config.training().epochs();
  if (!summary.has_stopped_early()) return absl::StrCat(asked_for);
  return absl::StrCat(summary.stopped_early().value(), " (stopped early, at most ", asked_for, ")");
}

// ", selected by macro F1", or nothing where it was weighted F1.
std::string SelectedBy(const RunSummary& summary) {
  if (!summary.has_selected_by()) return "";
  return absl::StrCat(", selected by ", summary.selected_by().value());
}

// Prints the scores of a finished run and the files that it wrote into `output`.
void Print(const RunSummary& summary, const RunConfig& config, const TrainOptions& options,
           const std::string& output) {
  const SplitReport& scores = summary.has_test() ? summary.test() : summary.valid();
  std::cout << (summary.has_test() ? "\nTest split" : "\nValidation split (there is no test split)")
            << ", epoch " << summary.selected_epoch() << " of " << EpochsOf(summary, config)
            << SelectedBy(summary) << ", protocol " << summary.protocol() << ", seed "
            << summary.seed() << "\n\n"
            << FormatSplitReport(scores) << "\n"
            << FormatCalibration(scores);
  if (summary.has_uncalibrated()) {
    std::cout << "\n" << FormatComparison(summary, summary.uncalibrated());
  }
  for (const std::string& warning : summary.warnings()) {
    std::cout << "\nwarning: " << Printable(warning) << "\n";
  }
  std::cout << "\nwritten to " << output << ": summary.json, metrics.jsonl, timing.jsonl, "
            << (summary.has_test() ? "test_predictions.jsonl, test_views.jsonl, " : "")
            << "config.textproto, selected.pth, last.pth"
            << (config.has_curriculum() ? ", curriculum.json" : "")
            << (options.tensorboard ? ", events.out.tfevents.*" : "")
            << (summary.has_uncalibrated() ? ", uncalibrated/" : "") << "\n";
}

// What the lines of epochs mean that follow: "epochs    F1 is weighted over the classes; ...".
std::string Legend(const RunConfig& config) {
  const bool test = config.data().protocol() == DataConfig::OFFICIAL;
  const TrainingConfig::SelectBy by = config.training().select_by();
  const std::string best =
      by == TrainingConfig::WEIGHTED_F1
          ? "highest"
          : absl::StrCat(by == TrainingConfig::NLL ? "lowest " : "highest ", SelectionName(by));
  return absl::StrCat("epochs    F1 is weighted over the classes; * marks the ", best, " on ",
                      test ? "test" : "valid",
                      " so far, by which the epoch is selected (its weights: selected.pth)\n");
}

// "weights   cmerc.NllOptions: hap 1, sad 0.6": how much the classes count in losses that weigh
// them, a line each. "" where none does, or where the losses cannot be made, which Train() reports.
std::string ClassWeights(const RunConfig& config, const DatasetInfo& info) {
  constexpr size_t kMostClasses = 20;
  const absl::StatusOr<std::vector<WeightedLoss>> losses = MakeLosses(config, info);
  std::string text;
  if (!losses.ok()) return text;
  for (const WeightedLoss& loss : *losses) {
    const std::vector<double> weights = loss.loss->class_weights();
    std::vector<std::string> shown;
    for (size_t c = 0; c < std::min(weights.size(), kMostClasses); ++c) {
      shown.push_back(absl::StrFormat("%s %.4g", OneLine(info.class_names[c]), weights[c]));
    }
    if (shown.empty()) continue;
    absl::StrAppend(&text, "weights   ", loss.name, ": ", absl::StrJoin(shown, ", "),
                    weights.size() > shown.size()
                        ? absl::StrCat(" and ", weights.size() - shown.size(),
                                       " more (all are in summary.json)")
                        : "",
                    "\n");
  }
  return text;
}

// Trains in `output`, a folder that rank 0 has made and locked.
absl::Status TrainIn(const std::string& output, const Flags& flags, const RunConfig& config,
                     torch::Device device, const ProcessIdentity& identity) {
  RETURN_IF_ERROR(CheckEarlierRun(flags, config, output));
  TrainOptions options = OptionsOf(flags);
  ASSIGN_OR_RETURN(options.stop_after, ReadStopAfter(output));
  if (options.resume && Exists(output + "/summary.json")) {
    std::cout << output << " holds a finished run: see summary.json there; nothing to do\n";
    return identity.rank == 0 ? FinishRun(output) : absl::OkStatus();
  }
  // Before anything is read, so that what one process cannot read ends all of them.
  ASSIGN_OR_RETURN(const std::unique_ptr<ProcessGroup> processes, Join(identity, output));
  if (identity.size > 1) options.processes = processes.get();
  ASSIGN_OR_RETURN(PreparedData data, LoadData(config));
  data.device = device;

  std::cout << "output    " << output << "\n"
            << Legend(config) << ClassWeights(config, data.info) << "\n"
            << std::flush;
  if (options.resume && !CanResume(output)) {
    std::cout << "nothing was saved there to go on with: begins with the first epoch\n"
              << std::flush;
  }
  CatchStopSignals(identity.rank == 0 ? kStopsAfterStep : "");
  const absl::StatusOr<RunSummary> summary = Train(config, data, output, Versions(), options);
  if (options.stop_after > 0 && absl::IsCancelled(summary.status()) && StopSignal() == 0) {
    std::cout << "\nstopped " << summary.status().message() << ", as " << StopAfterFile(output)
              << " says; for the rest remove that file, and: cmerc train --resume --output="
              << output << "\n";
    return absl::OkStatus();
  }
  // All processes stop for a signal to one of them.
  if (identity.size > 1 && absl::IsCancelled(summary.status())) NoteStopOfAll();
  if (!summary.ok()) return WithWayOn(summary.status(), output);
  Print(*summary, config, options, output);
  return absl::OkStatus();
}

// What `status` says, with the rank of the process that says it where there are several.
absl::Status OfRank(const ProcessIdentity& identity, const absl::Status& status) {
  if (identity.size == 1) return status;
  return Annotate(status, absl::StrCat("rank ", identity.rank, " of ", identity.size));
}

// Trains as another process than rank 0, which makes the folder and writes into it.
absl::Status TrainBesideRank0(const std::string& output, const Flags& flags,
                              const RunConfig& config, torch::Device device,
                              const ProcessIdentity& identity) {
  // What stands there already is as wrong here as it is there.
  if (Exists(output)) RETURN_IF_ERROR(CheckRunOutput(flags, output, config));
  return TrainIn(output, flags, config, device, identity);
}

}  // namespace

absl::Status TrainCommand(const Flags& flags) {
  RETURN_IF_ERROR(CheckFlags(flags));
  const std::string config_path =
      flags.has("config") ? flags.Get("config") : ConfigOf(flags.Get("output"));
  // Former names in the config of a run are nothing to warn of: the program wrote it.
  ASSIGN_OR_RETURN(const RunConfig config, flags.has("config")
                                               ? LoadConfigAndWarn(config_path, flags.All("set"))
                                               : LoadConfig(config_path, {}));
  ASSIGN_OR_RETURN(const torch::Device device, FindDevice(config.training().device()));
  PrepareDevice(device);
  ASSIGN_OR_RETURN(const ProcessIdentity identity, TrainingProcess(flags, config));
  const std::string output = flags.has("output") ? flags.Get("output") : FreshFolder(config_path);
  if (identity.rank > 0) {
    const SilentStreams silent;
    return OfRank(identity, TrainBesideRank0(output, flags, config, device, identity));
  }
  std::vector<std::string> created;
  const absl::Cleanup remove_empty_folders = [&created] {
    for (auto it = created.rbegin(); it != created.rend(); ++it) rmdir(it->c_str());
  };
  RETURN_IF_ERROR(MakeFolders(output, &created));
  RETURN_IF_ERROR(CheckRunOutput(flags, output, config));
  ASSIGN_OR_RETURN(const FolderLock lock, LockOutput(output));
  return OfRank(identity, TrainIn(output, flags, config, device, identity));
}

}  // namespace cmerc
