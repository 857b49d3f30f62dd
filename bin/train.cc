#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "bin/commands.h"
#include "bin/environment.h"
#include "bin/session.h"
#include "calibration/device.h"
#include "calibration/trainer.h"
#include "config/loader.h"
#include "metrics/text_report.h"

namespace cmerc {
namespace {

bool Exists(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0;
}

bool HoldsRun(const std::string& folder) {
  return Exists(folder + "/metrics.jsonl") || Exists(folder + "/uncalibrated/metrics.jsonl") ||
         Exists(folder + "/summary.json");
}

// "config/examples/quickstart.textproto" -> "quickstart".
std::string Stem(const std::string& path) {
  const std::string file = path.substr(path.rfind('/') + 1);
  return file.substr(0, file.find('.'));
}

// runs/NAME, or runs/NAME-2 and so on where that is taken.
std::string FreshFolder(const std::string& config_path) {
  const std::string base = absl::StrCat("runs/", Stem(config_path));
  std::string folder = base;
  for (int i = 2; HoldsRun(folder); ++i) folder = absl::StrCat(base, "-", i);
  return folder;
}

// Creates the folder and its parents, and appends those that were not there to `created`.
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
        absl::StrCat("--output=", folder, ": this is not a folder; choose another"));
  }
  return CheckWritableFolder(folder, folder);
}

}  // namespace

absl::Status TrainCommand(const Flags& flags) {
  if (!flags.has("config")) {
    return absl::InvalidArgumentError(
        "--config=FILE is missing; try --config=config/examples/quickstart.textproto");
  }
  const absl::StatusOr<ExperimentConfig> config = LoadConfig(flags.Get("config"), flags.All("set"));
  if (!config.ok()) return config.status();
  const absl::StatusOr<torch::Device> device = FindDevice(config->training().device());
  if (!device.ok()) return device.status();
  const std::string output =
      flags.has("output") ? flags.Get("output") : FreshFolder(flags.Get("config"));
  if (HoldsRun(output) && !flags.has("overwrite")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--output=", output, " holds a run already; choose another folder, or --overwrite"));
  }
  std::vector<std::string> created;
  const absl::Cleanup remove_empty_folders = [&created] {
    for (auto it = created.rbegin(); it != created.rend(); ++it) rmdir(it->c_str());
  };
  absl::Status status = MakeFolders(output, &created);
  if (!status.ok()) return status;
  absl::StatusOr<PreparedData> data = LoadData(*config);
  if (!data.ok()) return data.status();
  data->device = *device;

  std::cout << "output    " << output << "\n\n" << std::flush;
  const absl::StatusOr<RunSummary> summary =
      Train(*config, *data, output, Versions(), {flags.has("profile"), flags.has("tensorboard")});
  if (!summary.ok()) return summary.status();

  std::cout << "\nTest split, epoch " << summary->selected_epoch() + 1 << " of "
            << config->training().epochs() << ", protocol " << summary->protocol() << ", seed "
            << summary->seed() << "\n\n"
            << FormatSplitReport(summary->test()) << "\n"
            << FormatCalibration(summary->test());
  if (summary->has_uncalibrated()) {
    std::cout << "\n" << FormatComparison(*summary, summary->uncalibrated());
  }
  std::cout << "\nwritten to " << output
            << ": summary.json, metrics.jsonl, timing.jsonl, test_predictions.jsonl, "
               "config.textproto, selected.pth, last.pth"
            << (config->has_curriculum() ? ", curriculum.json" : "")
            << (flags.has("tensorboard") ? ", events.out.tfevents.*" : "")
            << (summary->has_uncalibrated() ? ", uncalibrated/" : "") << "\n";
  return absl::OkStatus();
}

}  // namespace cmerc
