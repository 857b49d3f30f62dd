#include "bin/output.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "bytes/file_kind.h"
#include "calibration/difficulty.h"
#include "config/loader.h"
#include "config/paths.h"
#include "core/status.h"
#include "datasets/inspect.h"
#include "storage/atomic_file.h"
#include "storage/run_folder.h"

namespace cmerc {
namespace {

using absl::string_view;

// So much of a file tells its kind.
constexpr size_t kHead = 1 << 16;

std::string HeadOf(const std::string& path) {
  std::string head(kHead, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(&head[0], static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(std::max<std::streamsize>(0, in.gcount())));
  return head;
}

string_view FirstLine(string_view text) { return text.substr(0, text.find('\n')); }

// One kind of output.
struct Kind {
  OutputKind kind;
  const char* name;
  // Whether a file at `path` that begins with `head` is one.
  bool (*fits)(const std::string& path, string_view head);
};

bool HasDifficulties(const std::string& path, string_view /*head*/) {
  const absl::StatusOr<MeasuredDifficulties> measured = ReadDifficulties(path);
  return measured.ok() && !measured->table.empty();
}

constexpr Kind kKinds[] = {
    {OutputKind::kScores, "scores of `cmerc evaluate`",
     [](const std::string&, string_view head) {
       return FileKindOf(head) == FileKind::kJson && absl::StrContains(head, "\"checkpoint\":") &&
              absl::StrContains(head, "\"scores\":");
     }},
    {OutputKind::kPredictions, "predictions of `cmerc predict`",
     [](const std::string&, string_view head) {
       return FileKindOf(head) == FileKind::kJson &&
              absl::StrContains(FirstLine(head), "\"probabilities\":") &&
              !absl::StrContains(FirstLine(head), "\"features\":");
     }},
    {OutputKind::kPredictionTable, "a table of predictions of `cmerc predict`",
     [](const std::string&, string_view head) {
       return absl::StartsWith(head, "conversation,utterance,utterance_id,speaker,");
     }},
    {OutputKind::kDifficulties, "difficulties", HasDifficulties},
    {OutputKind::kRecords, "conversations as a record file",
     [](const std::string&, string_view head) { return FileKindOf(head) == FileKind::kRecords; }},
    {OutputKind::kJsonLines, "conversations as JSON Lines",
     [](const std::string&, string_view head) {
       return FileKindOf(head) == FileKind::kJson &&
              absl::StrContains(FirstLine(head), "\"features\":");
     }},
    {OutputKind::kNpz, "conversations as an .npz",
     [](const std::string& path, string_view head) {
       return FileKindOf(head) == FileKind::kNpz && HoldsConversations(path);
     }},
    {OutputKind::kPage, "a page of `cmerc report`",
     [](const std::string&, string_view head) {
       return absl::StartsWith(head, "<!DOCTYPE html>") &&
              absl::StrContains(head, "<title>Report of ");
     }},
};

const Kind& Find(OutputKind kind) {
  return *std::find_if(std::begin(kKinds), std::end(kKinds),
                       [kind](const Kind& one) { return one.kind == kind; });
}

bool AreSame(const struct stat& a, const struct stat& b) {
  return S_ISREG(a.st_mode) && S_ISREG(b.st_mode) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Whether both paths lead to one regular file.
bool AreSameFile(const std::string& a, const std::string& b) {
  struct stat of_a {};
  struct stat of_b {};
  return stat(a.c_str(), &of_a) == 0 && stat(b.c_str(), &of_b) == 0 && AreSame(of_a, of_b);
}

// Whether there is a file with anything in it.
bool HoldsAnything(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 && (!S_ISREG(info.st_mode) || info.st_size > 0);
}

// What the flags of a command say that it reads: the flag as it was given, and the path.
std::vector<std::pair<std::string, std::string>> InputsOf(const Flags& flags) {
  std::vector<std::pair<std::string, std::string>> inputs;
  for (const char* flag : {"input", "checkpoint", "config"}) {
    if (!flags.has(flag)) continue;
    inputs.emplace_back(absl::StrCat("--", flag, "=", flags.Get(flag)), flags.Get(flag));
  }
  return inputs;
}

absl::Status BadOutput(const std::string& output, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("--output=", output, why));
}

// What to say where `input` is read and `file`, which is the same, would be written over.
std::string WouldBeLost(const std::string& who, const std::string& input, const std::string& file) {
  return absl::StrCat(": the ", who, " reads ", input,
                      input == file ? "" : absl::StrCat(", which is ", file, " there,"),
                      " and would write over it; choose another folder");
}

absl::Status IsRead(const std::string& output, const std::string& input) {
  return BadOutput(output, absl::StrCat(": this is the same file as ", input,
                                        ", which is read, and it would be lost; choose another "
                                        "name"));
}

// InvalidArgument: standard output is a file that is read, as behind `>> in.jsonl`.
absl::Status CheckStandardOutput(const Flags& flags) {
  struct stat out {};
  if (fstat(STDOUT_FILENO, &out) != 0) return absl::OkStatus();
  for (const auto& [flag, path] : InputsOf(flags)) {
    struct stat in {};
    if (stat(path.c_str(), &in) != 0 || !AreSame(in, out)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("standard output is the same file as ", flag,
                     ", which is read, and it would be lost; choose another name behind >"));
  }
  return absl::OkStatus();
}

// InvalidArgument: no file can be made in `folder`.
absl::Status CheckWritableFolder(const std::string& folder, const std::string& output) {
  // access() would say yes to root, whatever else is in the way.
  std::string probe = absl::StrCat(folder, "/.cmerc-XXXXXX");
  const int file = mkstemp(&probe[0]);
  if (file >= 0) {
    close(file);
    unlink(probe.c_str());
    return absl::OkStatus();
  }
  const int error = errno;
  struct stat info {};
  return BadOutput(output, absl::StrCat(": cannot write into ", folder, ": ", std::strerror(error),
                                        stat(folder.c_str(), &info) != 0 && errno == ENOENT
                                            ? "; create that folder or choose another"
                                            : "; choose a folder that can be written"));
}

// InvalidArgument: the file cannot be written.
absl::Status CheckWritableFile(const std::string& output) {
  struct stat info {};
  if (stat(output.c_str(), &info) == 0) {
    const char* problem = S_ISDIR(info.st_mode)               ? "this is a folder"
                          : !S_ISREG(info.st_mode)            ? "this is no regular file"
                          : access(output.c_str(), W_OK) != 0 ? "this file may not be written"
                                                              : nullptr;
    if (problem != nullptr) {
      return BadOutput(output, absl::StrCat(": ", problem, "; choose the name of a file"));
    }
  }
  const absl::StatusOr<std::string> target = FollowLinks(output);
  if (!target.ok()) return BadOutput(output, absl::StrCat(": ", target.status().message()));
  const size_t slash = target->rfind('/');
  return CheckWritableFolder(slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : target->substr(0, slash),
                             output);
}

// Whether a file that begins with `head` may be the beginning of the first answer of a process that
// was killed: there is no whole line.
bool IsHalfAnAnswer(string_view head) {
  return absl::StartsWith("{\"id\":", head.substr(0, 6)) && !absl::StrContains(head, '\n') &&
         !absl::StrContains(head, "\"features\":");
}

// InvalidArgument: the file that is there may not be replaced, or not be gone on with.
absl::Status CheckReplaceable(const std::string& output, const Kind& kind, const Flags& flags) {
  if (!HoldsAnything(output)) return absl::OkStatus();
  const std::string head = HeadOf(output);
  const bool resume = flags.has("resume");
  if (!kind.fits(output, head) && !(resume && IsHalfAnAnswer(head))) {
    const string_view found = FileKindName(FileKindOf(head));
    return BadOutput(
        output, absl::StrCat(": the file that is there", found.empty() ? "" : ", ", found,
                             found.empty() ? "" : ",", " does not hold ", kind.name, " and is not ",
                             resume ? "gone on with" : "replaced",
                             "; choose another name, or move it away"));
  }
  if (resume || flags.has("overwrite")) return absl::OkStatus();
  return BadOutput(output, absl::StrCat(" is there already and holds ", kind.name,
                                        "; choose another name, or --overwrite to replace it"));
}

// Whether `path` is the config.textproto of `output` and would hold the same bytes afterwards.
bool StaysAsItIs(const std::string& path, const std::string& output, const RunConfig& config) {
  if (path != output + "/config.textproto") return false;
  const std::string resolved = ResolvedConfig(config);
  std::ifstream in(path, std::ios::binary);
  std::string there(resolved.size() + 1, '\0');
  in.read(&there[0], static_cast<std::streamsize>(there.size()));
  there.resize(static_cast<size_t>(in.gcount()));
  return there == resolved;
}

}  // namespace

absl::Status CheckOutput(const Flags& flags, OutputKind kind) {
  const std::string output = flags.has("output") ? flags.Get("output") : "-";
  if (output == "-") return CheckStandardOutput(flags);
  RETURN_IF_ERROR(CheckWritableFile(output));
  for (const auto& [flag, path] : InputsOf(flags)) {
    if (AreSameFile(output, path)) return IsRead(output, flag);
  }
  return CheckReplaceable(output, Find(kind), flags);
}

absl::Status CheckOutputIsNone(const Flags& flags, const std::vector<std::string>& inputs) {
  if (!flags.has("output")) return absl::OkStatus();
  for (const std::string& input : inputs) {
    if (AreSameFile(flags.Get("output"), input)) {
      return IsRead(flags.Get("output"), absl::StrCat(input, " of the config"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRunOutput(const Flags& flags, const std::string& output,
                            const RunConfig& config) {
  RETURN_IF_ERROR(CheckWritableFolder(output, output));
  struct stat info {};
  const bool finished = stat((output + "/summary.json").c_str(), &info) == 0;
  // What is there is gone on with, or left as it is.
  if (flags.has("resume") && (CanResume(output) || (finished && HoldsRun(output)))) {
    return absl::OkStatus();
  }
  std::vector<std::string> inputs = PathsIn(config);
  if (flags.has("config")) inputs.insert(inputs.begin(), flags.Get("config"));
  const bool of_run = HoldsRun(output);
  for (const std::string& file : RunFiles(output)) {
    if (StaysAsItIs(file, output, config)) continue;
    for (const std::string& input : inputs) {
      if (!AreSameFile(file, input)) continue;
      return BadOutput(output, WouldBeLost("run", input, file));
    }
    // Without --config the run goes on with the config that the folder holds.
    if (of_run || !HoldsAnything(file) || !flags.has("config")) continue;
    return BadOutput(output, absl::StrCat(": the run would write over ", file,
                                          ", which is of no run of `cmerc train`; choose another "
                                          "folder, or move it away"));
  }
  return absl::OkStatus();
}

absl::Status CheckExperimentOutput(const std::string& output, absl::Span<const char* const> files,
                                   const std::vector<std::string>& inputs) {
  if (HoldsRun(output)) {
    return BadOutput(output,
                     " holds a single run of `cmerc train`; choose another folder for the "
                     "experiment, which makes one for each of its runs");
  }
  for (const char* name : files) {
    const std::string file = absl::StrCat(output, "/", name);
    for (const std::string& input : inputs) {
      if (AreSameFile(file, input))
        return BadOutput(output, WouldBeLost("experiment", input, file));
    }
    if (HoldsExperiment(output) || !HoldsAnything(file)) continue;
    return BadOutput(output, absl::StrCat(" holds a ", name,
                                          " that no experiment wrote, and would be replaced; "
                                          "choose another folder or move the file"));
  }
  return absl::OkStatus();
}

}  // namespace cmerc
