#include "experiment/launchers/slurm_batch.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/status.h"
#include "experiment/run_files.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

// Slurm tells the batch shell alone that the time is nearly up (--signal=B:TERM), but where it
// cancels a job, tells all processes or that shell, by the cluster's settings. `cmerc train` must
// hear it once: it ignores SIGTERM, and the shell passes SIGINT on.
constexpr char kTask[] = R"script(#!/bin/bash
# Written by `cmerc experiment`: does one run of it, as a task of a job array of Slurm.
# Arguments: the engine of cmerc, the folder of the experiment, the folder that this file is in.
program=$1 output=$2 batch=$3 task=$SLURM_ARRAY_TASK_ID
# Without its folder the job was given up before it began.
read -r digest run < <(sed -n "$((task + 1))p" "$batch/tasks.txt") || exit 0
folder=$output/$run
ends_with() {
  printf '%s %s\n' "$1" "$SECONDS" > "$batch/exit-$task.new" &&
    mv "$batch/exit-$task.new" "$batch/exit-$task.txt"
  exit "$1"
}
if [[ ! -x $program ]]; then
  echo "cmerc: cannot start $program on $(hostname); the nodes must find cmerc where this machine does" > "$folder/train.log"
  ends_with 127
fi
stopping=0 child=
stop() {
  echo "cmerc: asked to save and stop"
  [[ $stopping == 1 || -z $child ]] || kill -INT "$child"
  stopping=1
}
trap stop TERM
(
  trap - INT
  trap '' TERM
  exec "$program" train "--config=$folder/config.textproto" "--output=$folder" --resume > "$folder/train.log" 2>&1
) &
child=$!
# A signal ends `wait`, not what is waited for.
wait "$child"
while kill -0 "$child" 2> /dev/null; do wait "$child"; done
wait "$child"
status=$?
# Whichever signal it was told by.
[[ $stopping == 1 && $status == 130 ]] && status=143
ends_with "$status"
)script";

// What names of jobs begin with.
constexpr char kName[] = "cmerc-";

std::string TasksFile(const std::string& folder) { return folder + "/tasks.txt"; }
std::string JobFile(const std::string& folder) { return folder + "/job.txt"; }

// "cmerc-EXPERIMENT-RANDOM": the experiment's folder for people, and what no other job has.
std::string NewName(const std::string& output) {
  std::error_code error;
  std::string last =
      std::filesystem::absolute(output, error).lexically_normal().filename().string();
  std::string shown;
  for (const char c : last) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_') shown += c;
  }
  constexpr size_t kLongest = 24;
  shown.resize(std::min(shown.size(), kLongest));
  std::random_device random;
  return absl::StrFormat("%s%s-%08x%08x", kName, shown, random(), random());
}

// The tasks of a file; none where it is not whole.
std::vector<SlurmBatchTask> TasksIn(const std::string& text) {
  std::vector<SlurmBatchTask> tasks;
  for (const auto line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> words = absl::StrSplit(line, absl::MaxSplits(' ', 1));
    if (words.first.empty() || words.second.empty()) return {};
    tasks.push_back({words.first, words.second});
  }
  return tasks;
}

}  // namespace

std::string BatchesFolder(const std::string& output) { return output + "/slurm"; }

absl::StatusOr<SlurmBatch> MakeBatch(const std::string& output, std::vector<SlurmBatchTask> tasks) {
  SlurmBatch batch;
  batch.name = NewName(output);
  batch.folder = absl::StrCat(BatchesFolder(output), "/", batch.name);
  batch.tasks = std::move(tasks);
  std::error_code error;
  std::filesystem::create_directories(batch.folder, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot create ", batch.folder, ": ", error.message()));
  }
  std::string lines;
  for (const SlurmBatchTask& task : batch.tasks)
    absl::StrAppend(&lines, task.digest, " ", task.path, "\n");
  RETURN_IF_ERROR(WriteFileAtomically(TasksFile(batch.folder), lines));
  RETURN_IF_ERROR(WriteFileAtomically(batch.folder + "/task.sh", kTask));
  return batch;
}

absl::Status NoteJob(const std::string& job, SlurmBatch* batch) {
  batch->job = job;
  return WriteFileAtomically(JobFile(batch->folder), job + "\n");
}

std::vector<SlurmBatch> ReadBatches(const std::string& output) {
  std::vector<SlurmBatch> batches;
  std::error_code none;
  for (std::filesystem::directory_iterator entry(BatchesFolder(output), none), end;
       !none && entry != end; entry.increment(none)) {
    SlurmBatch batch;
    batch.folder = entry->path().string();
    batch.name = entry->path().filename().string();
    if (!absl::StartsWith(batch.name, kName) || !entry->is_directory(none)) continue;
    batch.tasks = TasksIn(Contents(TasksFile(batch.folder)));
    batch.job = Contents(JobFile(batch.folder));
    absl::StripAsciiWhitespace(&batch.job);
    batches.push_back(std::move(batch));
  }
  std::sort(batches.begin(), batches.end(),
            [](const SlurmBatch& a, const SlurmBatch& b) { return a.name < b.name; });
  return batches;
}

std::set<int> EndedIn(const SlurmBatch& batch) {
  std::set<int> tasks;
  std::error_code none;
  for (std::filesystem::directory_iterator entry(batch.folder, none), end; !none && entry != end;
       entry.increment(none)) {
    const std::string name = entry->path().filename().string();
    absl::string_view digits = name;
    int task = 0;
    if (absl::ConsumePrefix(&digits, "exit-") && absl::ConsumeSuffix(&digits, ".txt") &&
        absl::SimpleAtoi(digits, &task)) {
      tasks.insert(task);
    }
  }
  return tasks;
}

std::optional<SlurmTaskExit> ExitOf(const SlurmBatch& batch, int task) {
  const std::string text = Contents(absl::StrCat(batch.folder, "/exit-", task, ".txt"));
  const std::pair<std::string, std::string> words = absl::StrSplit(text, absl::MaxSplits(' ', 1));
  SlurmTaskExit ended{};
  if (!absl::SimpleAtoi(words.first, &ended.status) ||
      !absl::SimpleAtod(words.second, &ended.seconds)) {
    return std::nullopt;
  }
  return ended;
}

std::string LastLineOf(const SlurmBatch& batch, int task) {
  const std::string text = Contents(absl::StrCat(batch.folder, "/slurm-", task, ".out"));
  const std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipWhitespace());
  return lines.empty() ? "" : lines.back();
}

void RemoveBatch(const std::string& output, const SlurmBatch& batch) {
  unlink(TasksFile(batch.folder).c_str());  // first: it makes the rest void
  std::error_code none;
  std::filesystem::remove_all(batch.folder, none);
  rmdir(BatchesFolder(output).c_str());
}

}  // namespace cmerc
