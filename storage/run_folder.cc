#include "storage/run_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "config/loader.h"
#include "core/status.h"
#include "storage/atomic_file.h"
#include "tensorboard/event_writer.h"

namespace cmerc {
namespace {

bool Exists(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0;
}

// What a file begins with, which tells its kind; "" where it cannot be read.
std::string HeadOf(const std::string& path) {
  constexpr size_t kHead = 1 << 12;
  std::string head(kHead, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(&head[0], static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(std::max<std::streamsize>(0, in.gcount())));
  return head;
}

absl::Status Remove(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return absl::OkStatus();
  const int error = errno;
  return absl::UnavailableError(
      absl::StrCat("cannot remove ", path, " of the earlier run: ", std::strerror(error)));
}

// The files of a run's folders for whose names chosen(folder, name) holds.
template <typename Chosen>
std::vector<std::string> FilesOf(const std::string& output, const Chosen& chosen) {
  std::vector<std::string> paths;
  for (const std::string& folder : {output, UncalibratedFolder(output)}) {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
      const std::string name = entry.path().filename().string();
      if (chosen(folder, name)) paths.push_back(absl::StrCat(folder, "/", name));
    }
  }
  return paths;
}

// Removes the files for which doomed(folder, name) holds.
template <typename Doomed>
absl::Status RemoveFiles(const std::string& output, const Doomed& doomed) {
  for (const std::string& path : FilesOf(output, doomed)) RETURN_IF_ERROR(Remove(path));
  return absl::OkStatus();
}

// Whether a new run removes a file of this name.
bool IsOfOneRun(absl::string_view file) {
  for (const char* written : {"summary.json", "test_predictions.jsonl", "test_views.jsonl",
                              "selected.pth", "last.pth", "curriculum.json", "resume.pth"}) {
    if (file == written) return true;
  }
  return absl::StartsWith(file, kEventFileMark);
}

bool IsLog(absl::string_view file) { return file == "metrics.jsonl" || file == "timing.jsonl"; }

bool IsTemporary(const std::string& /*folder*/, const std::string& file) {
  return absl::EndsWith(file, kTemporaryEnding);
}

}  // namespace

std::string UncalibratedFolder(const std::string& output) { return output + "/uncalibrated"; }

bool HoldsRun(const std::string& folder) {
  for (const std::string& one : {folder, UncalibratedFolder(folder)}) {
    const std::string metrics = one + "/metrics.jsonl";
    struct stat info {};
    const bool begun = stat(metrics.c_str(), &info) == 0 && S_ISREG(info.st_mode);
    if (begun && (info.st_size == 0 || absl::StartsWith(HeadOf(metrics), "{\"epoch\":"))) {
      return true;
    }
  }
  return absl::StrContains(HeadOf(folder + "/summary.json"), "\"protocol\":");
}

std::string PlanFile(const std::string& output) { return output + "/cmerc_experiment.textproto"; }

bool HoldsExperiment(const std::string& folder) {
  if (Exists(PlanFile(folder))) return true;
  for (const char* file : {"/results.json", "/results.csv", "/results.md"}) {
    if (!Exists(folder + file)) return false;
  }
  return true;
}

std::string ResumeFile(const std::string& folder) { return folder + "/resume.pth"; }

bool CanResume(const std::string& output) {
  for (const std::string& folder : {output, UncalibratedFolder(output)}) {
    if (Exists(ResumeFile(folder))) return true;
  }
  return false;
}

std::vector<std::string> RunFiles(const std::string& output) {
  return FilesOf(output, [](const std::string& /*folder*/, const std::string& file) {
    return IsOfOneRun(file) || IsLog(file) || file == "config.textproto" || file == "trace.json";
  });
}

absl::Status BeginRun(const RunConfig& config, const std::string& output) {
  const auto doomed = [&output](const std::string& folder, const std::string& file) {
    // The logs in `output` itself are begun anew by whoever writes them.
    return IsOfOneRun(file) || (IsLog(file) && folder != output) || IsTemporary(folder, file);
  };
  RETURN_IF_ERROR(RemoveFiles(output, doomed));
  rmdir(UncalibratedFolder(output).c_str());
  return WriteFileAtomically(absl::StrCat(output, "/config.textproto"), ResolvedConfig(config));
}

absl::Status ContinueRun(const std::string& output) { return RemoveFiles(output, IsTemporary); }

absl::Status FinishRun(const std::string& output) {
  for (const std::string& folder : {output, UncalibratedFolder(output)}) {
    RETURN_IF_ERROR(Remove(ResumeFile(folder)));
  }
  return absl::OkStatus();
}

absl::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0777) == 0 || errno == EEXIST) return absl::OkStatus();
  const int error = errno;
  return absl::UnavailableError(
      absl::StrCat("cannot create the folder ", path, ": ", std::strerror(error)));
}

}  // namespace cmerc
