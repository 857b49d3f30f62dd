#include "experiment/launchers/slurm_launcher.h"

#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "core/status.h"
#include "experiment/run_files.h"
#include "storage/run_folder.h"

namespace cmerc {
namespace {

// Attempts of a run in a row in which nothing was saved: more would be as vain.
constexpr int kMostInVain = 3;
// As the shell that is a task says them (experiment/launchers/slurm_batch.cc).
constexpr int kSignals = 128;
constexpr int kStopped = 143;

std::chrono::milliseconds Milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

// What an interrupted run in `folder` has saved to go on with: changes whenever it saves.
std::string SavedState(const std::string& folder) {
  std::string text;
  for (const std::string& one : {folder, UncalibratedFolder(folder)}) {
    struct stat info {};
    if (stat(ResumeFile(one).c_str(), &info) != 0) info = {};
    absl::StrAppend(&text, info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec, " ",
                    info.st_mtim.tv_nsec, ";");
  }
  return text;
}

// Arguments of sbatch that `cmerc` gives itself, and could not go on with if they were others.
absl::Status CheckExtra(const std::string& extra) {
  if (extra.size() < 2 || extra[0] != '-') {
    return absl::InvalidArgumentError(absl::StrCat(
        "launcher Slurm: extra = \"", extra,
        "\", must be an argument of sbatch that begins with -, such as \"--account=lab\""));
  }
  const std::string name = extra.substr(0, extra.find('='));
  for (const char* ours : {"--array", "-a", "--job-name", "-J", "--output", "-o", "--chdir", "-D",
                           "--signal", "--requeue", "--no-requeue", "--parsable", "--wrap",
                           "--wait", "-W", "--test-only", "--ntasks", "-n"}) {
    if (name != ours) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "launcher Slurm: extra = \"", extra, "\": cmerc sets ", ours, " itself; leave it out"));
  }
  return absl::OkStatus();
}

// "3 running, 9 waiting (Priority)".
std::string Counted(const std::map<std::string, int>& counts) {
  std::vector<std::string> parts;
  for (const auto& [what, count] : counts) parts.push_back(absl::StrCat(count, " ", what));
  return absl::StrJoin(parts, ", ");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Launcher>> SlurmLauncher::Create(const SlurmOptions& options,
                                                                const LauncherContext& context) {
  for (const std::string& extra : options.extra()) RETURN_IF_ERROR(CheckExtra(extra));
  if (context.output.find('\n') != std::string::npos) {
    return absl::InvalidArgumentError(
        "launcher Slurm: --output has a line break in its name; choose another folder");
  }
  return std::unique_ptr<Launcher>(new SlurmLauncher(options, context));
}

SlurmLauncher::SlurmLauncher(SlurmOptions options, LauncherContext context)
    : options_(std::move(options)), context_(std::move(context)) {
  // Where whoever started this process ignores SIGCHLD, the system forgets how a child ended.
  std::signal(SIGCHLD, SIG_DFL);
}

SlurmLauncher::~SlurmLauncher() { RemoveWhatIsDone(); }

bool SlurmLauncher::HasRoom() const {
  const size_t most =
      context_.parallel_runs > 0
          ? std::min<size_t>(options_.array_limit(), static_cast<size_t>(context_.parallel_runs))
          : static_cast<size_t>(options_.array_limit());
  return unsent_.size() + tasks_.size() < most;
}

std::vector<std::string> SlurmLauncher::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, batch] : batches_) names.push_back(name);
  return names;
}

absl::Status SlurmLauncher::Begin() {
  batches_.clear();
  std::vector<SlurmBatch> batches = ReadBatches(context_.output);
  for (const SlurmBatch& batch : batches) batches_[batch.name] = batch;
  ASSIGN_OR_RETURN(queue_, LookAtQueue(Names()));
  std::map<std::string, std::string> jobs;
  for (const auto& [task, queued] : queue_) jobs[task.first] = queued.job;
  batches_.clear();
  for (SlurmBatch& batch : batches) {
    const auto job = jobs.find(batch.name);
    RETURN_IF_ERROR(
        Recover(std::move(batch), job != jobs.end(), job != jobs.end() ? job->second : ""));
  }
  std::set<std::string> alive;
  for (const auto& [task, queued] : queue_) {
    const auto batch = batches_.find(task.first);
    // The last of a task may still be in the queue when its run has ended.
    if (batch != batches_.end() && IsUnderWay(queued.state) &&
        !ExitOf(batch->second, task.second).has_value()) {
      alive.insert(queued.job);
    }
  }
  if (!alive.empty()) {
    notes_.push_back(absl::StrCat("found in the queue: job ", absl::StrJoin(alive, ", ")));
  }
  return absl::OkStatus();
}

// Takes up a batch of an earlier process: `queued`, whether Slurm still knows it, as `job`.
absl::Status SlurmLauncher::Recover(SlurmBatch batch, bool queued, const std::string& job) {
  if (batch.job.empty() && queued) RETURN_IF_ERROR(NoteJob(job, &batch));
  if (!batch.job.empty() && !batch.tasks.empty()) {
    batches_[batch.name] = std::move(batch);
    return absl::OkStatus();
  }
  // Its process died before sbatch had answered. Should the job come after all, it does nothing
  // without its folder.
  RemoveBatch(context_.output, batch);
  ASSIGN_OR_RETURN(const SlurmQueue queue, LookAtQueue({batch.name}));
  if (queue.empty()) return absl::OkStatus();
  return CancelJobs({queue.begin()->second.job});
}

SlurmLauncher::Task SlurmLauncher::TaskOf(const Launch& launch) const {
  Task task;
  task.run = launch.run;
  task.path = launch.folder.substr(context_.output.size() + 1);
  task.digest = DigestOf(launch.identity);
  task.saved = SavedState(launch.folder);
  return task;
}

absl::StatusOr<bool> SlurmLauncher::Find(const Launch& launch) {
  Task task = TaskOf(launch);
  for (const auto& [name, batch] : batches_) {
    for (size_t i = 0; i < batch.tasks.size(); ++i) {
      if (batch.tasks[i].path != task.path) continue;
      const int number = static_cast<int>(i);
      const std::optional<SlurmTaskExit> exit = ExitOf(batch, number);
      const auto queued = queue_.find({name, number});
      const bool under_way =
          !exit.has_value() && queued != queue_.end() && IsUnderWay(queued->second.state);
      const bool same = batch.tasks[i].digest == task.digest;
      if (under_way && !same) RETURN_IF_ERROR(CancelAndWait(name, number));
      if (!same || (!under_way && (!exit.has_value() || exit->status != 0))) continue;
      task.batch = name;
      task.number = number;
      tasks_.push_back(std::move(task));
      next_poll_ = Clock::time_point();  // it may have ended
      return true;
    }
  }
  return false;
}

// Cancels a task whose run is another one by now, and waits until it no longer writes.
absl::Status SlurmLauncher::CancelAndWait(const std::string& name, int number) {
  constexpr std::chrono::minutes kPatience(3);
  const QueuedTask queued = queue_[{name, number}];
  const std::string task = absl::StrCat(queued.job, "_", number);
  notes_.push_back(absl::StrCat("cancels job ", task, ": its run is another one in this plan"));
  RETURN_IF_ERROR(CancelJobs({task}));
  const Clock::time_point end = Clock::now() + kPatience;
  while (true) {
    ASSIGN_OR_RETURN(const SlurmQueue queue, LookAtQueue({name}));
    const auto found = queue.find({name, number});
    if (found == queue.end() || !IsUnderWay(found->second.state)) return absl::OkStatus();
    if (Clock::now() > end) {
      return absl::UnavailableError(
          absl::StrCat("job ", task, " was cancelled and is still ", found->second.state,
                       "; its run is another one in this plan, and can begin when it has ended"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

absl::Status SlurmLauncher::Start(const Launch& launch) {
  unsent_.push_back(TaskOf(launch));
  return absl::OkStatus();
}

std::vector<std::string> SlurmLauncher::Arguments(const SlurmBatch& batch) const {
  const std::string output = absl::StrReplaceAll(batch.folder, {{"%", "%%"}});
  std::vector<std::string> words = {absl::StrCat("--job-name=", batch.name),
                                    absl::StrCat("--array=0-", batch.tasks.size() - 1),
                                    absl::StrCat("--output=", output, "/slurm-%a.out"),
                                    absl::StrCat("--signal=B:TERM@", options_.save_seconds()),
                                    "--open-mode=append",
                                    "--no-requeue",
                                    "--ntasks=1",
                                    absl::StrCat("--cpus-per-task=", options_.cpus_per_task())};
  if (options_.has_partition()) words.push_back("--partition=" + options_.partition());
  if (options_.has_time()) words.push_back("--time=" + options_.time());
  if (options_.has_memory()) words.push_back("--mem=" + options_.memory());
  words.insert(words.end(), options_.extra().begin(), options_.extra().end());
  for (const std::string& word :
       {batch.folder + "/task.sh", context_.program, context_.output, batch.folder}) {
    words.push_back(word);
  }
  return words;
}

absl::Status SlurmLauncher::Submit() {
  std::vector<SlurmBatchTask> tasks;
  for (const Task& task : unsent_) tasks.push_back({task.digest, task.path});
  ASSIGN_OR_RETURN(SlurmBatch batch, MakeBatch(context_.output, std::move(tasks)));
  absl::StatusOr<std::string> job = SubmitJob(Arguments(batch));
  if (!job.ok()) {
    // Its answer may have been lost.
    const absl::StatusOr<SlurmQueue> queue = LookAtQueue({batch.name});
    if (queue.ok() && !queue->empty()) job = queue->begin()->second.job;
  }
  if (!job.ok()) {
    RemoveBatch(context_.output, batch);
    if (!submitted_) return job.status();
    if (trouble_.empty()) {
      notes_.push_back(absl::StrCat(job.status().message(), "; will be tried again"));
    }
    trouble_ = std::string(job.status().message());
    return absl::OkStatus();
  }
  trouble_.clear();
  submitted_ = true;
  RETURN_IF_ERROR(NoteJob(*job, &batch));
  notes_.push_back(absl::StrCat("submitted job ", *job, ": ", batch.tasks.size(),
                                batch.tasks.size() == 1 ? " run" : " runs"));
  for (size_t i = 0; i < unsent_.size(); ++i) {
    Task& task = unsent_[i];
    task.batch = batch.name;
    task.number = static_cast<int>(i);
    task.state = "PENDING";
    task.reason = "None";
    task.missing_since.reset();
    tasks_.push_back(std::move(task));
  }
  unsent_.clear();
  batches_[batch.name] = std::move(batch);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<EndedRun>> SlurmLauncher::WaitForOne(
    std::chrono::milliseconds patience) {
  if (ended_.empty() && Clock::now() >= next_poll_) RETURN_IF_ERROR(Poll());
  if (ended_.empty() && !unsent_.empty() && (trouble_.empty() || Clock::now() >= next_poll_)) {
    RETURN_IF_ERROR(Submit());
  }
  if (ended_.empty()) {
    std::this_thread::sleep_for(patience);
    return std::nullopt;
  }
  EndedRun run = std::move(ended_.front());
  ended_.pop_front();
  return std::optional<EndedRun>(std::move(run));
}

absl::Status SlurmLauncher::Poll() {
  next_poll_ = Clock::now() + Milliseconds(options_.poll_seconds());
  if (tasks_.empty()) return absl::OkStatus();
  std::set<std::string> names;
  for (const Task& task : tasks_) names.insert(task.batch);
  const absl::StatusOr<SlurmQueue> queue = LookAtQueue({names.begin(), names.end()});
  if (queue.ok()) {
    for (const auto& [task, queued] : *queue) queue_[task] = queued;
    queue_trouble_.clear();
  } else if (!absl::IsUnavailable(queue.status())) {
    return queue.status();
  } else if (queue_trouble_.empty()) {
    queue_trouble_ = std::string(queue.status().message());
    notes_.push_back(absl::StrCat(queue_trouble_, "; will be tried again"));
  }
  std::map<std::string, std::set<int>> ended;
  for (const std::string& name : names) ended[name] = EndedIn(batches_[name]);
  std::vector<Task> left;
  for (Task& task : tasks_) {
    if (!Settle(&task, queue.ok() ? &*queue : nullptr, ended[task.batch])) {
      left.push_back(std::move(task));
    }
  }
  tasks_ = std::move(left);
  return absl::OkStatus();
}

bool SlurmLauncher::Settle(Task* task, const SlurmQueue* queue, const std::set<int>& ended) {
  const SlurmBatch& batch = batches_[task->batch];
  const QueuedTask* queued = nullptr;
  if (queue != nullptr) {
    const auto found = queue->find({task->batch, task->number});
    if (found != queue->end()) queued = &found->second;
  }
  if (queued != nullptr) {
    task->state = queued->state;
    task->reason = queued->reason;
  }
  if (ended.count(task->number) > 0) {
    const std::optional<SlurmTaskExit> exit = ExitOf(batch, task->number);
    if (exit.has_value()) return SettleExit(task, *exit, queued);
  }
  if (queue == nullptr) return false;
  if (queued != nullptr && IsUnderWay(queued->state)) {
    task->missing_since.reset();
    return false;
  }
  const std::string state = queued != nullptr ? queued->state : "";
  if (state == "CANCELLED" || state == "OUT_OF_MEMORY" || state == "DEADLINE") {
    return EndAs(*task, false,
                 absl::StrCat("job ", batch.job, "_", task->number, " ", state, " in Slurm"), 0);
  }
  for (const char* lost : {"NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED", "TIMEOUT"}) {
    if (state == lost) return Again(task, state);
  }
  // The exit status may be there and not seen yet.
  if (!task->missing_since.has_value()) task->missing_since = Clock::now();
  if (Clock::now() - *task->missing_since < Milliseconds(options_.lost_after_seconds()))
    return false;
  const std::string last = LastLineOf(batch, task->number);
  return Again(
      task, absl::StrCat(state.empty() ? "gone from the queue" : state, " without an exit status",
                         last.empty() ? "" : absl::StrCat(": ", last)));
}

bool SlurmLauncher::SettleExit(Task* task, const SlurmTaskExit& exit, const QueuedTask* queued) {
  if (exit.status == kStopped) {
    // Whether somebody has cancelled it is known when the job has ended.
    if (queued != nullptr && IsUnderWay(queued->state)) return false;
    if (queued != nullptr && queued->state == "CANCELLED") {
      return EndAs(
          *task, false,
          absl::StrCat("job ", batches_[task->batch].job, "_", task->number, " CANCELLED in Slurm"),
          exit.seconds);
    }
    return Again(task, "its time limit came, or another job took its place");
  }
  const std::string ending = exit.status > kSignals
                                 ? absl::StrCat("signal ", exit.status - kSignals)
                                 : absl::StrCat("exit status ", exit.status);
  return EndAs(*task, exit.status == 0, ending, exit.seconds);
}

bool SlurmLauncher::Again(Task* task, const std::string& why) {
  const std::string job = absl::StrCat("job ", batches_[task->batch].job, "_", task->number);
  const std::string saved = SavedState(absl::StrCat(context_.output, "/", task->path));
  task->in_vain = saved == task->saved ? task->in_vain + 1 : 0;
  task->saved = saved;
  if (task->in_vain >= kMostInVain) {
    return EndAs(
        *task, false,
        absl::StrCat(job, " (", why, "), the ", kMostInVain,
                     "rd in a row in which nothing was saved: is `time` of the launcher too "
                     "short, or ",
                     context_.output, " no folder that the nodes share?"),
        0);
  }
  notes_.push_back(absl::StrCat(task->path, ": ", job, " has ended before the run (", why,
                                "); the run is submitted again and goes on"));
  queue_.erase({task->batch, task->number});
  unsent_.push_back(std::move(*task));
  return true;
}

bool SlurmLauncher::EndAs(const Task& task, bool succeeded, const std::string& ending,
                          double seconds) {
  queue_.erase({task.batch, task.number});
  ended_.push_back({task.run, succeeded, ending, seconds});
  return true;
}

std::string SlurmLauncher::AfterStopping() const {
  std::set<std::string> jobs;
  for (const Task& task : tasks_) jobs.insert(batches_.at(task.batch).job);
  const std::string again = "to go on: the same command again";
  if (jobs.empty()) return again;
  return absl::StrCat("job ", absl::StrJoin(jobs, ", "), " of Slurm with ", tasks_.size(),
                      tasks_.size() == 1 ? " run" : " runs", " goes on without this process\n",
                      again, ", which finds it\nto end it: scancel ", absl::StrJoin(jobs, " "));
}

std::string SlurmLauncher::States() const {
  std::map<std::string, int> counts;
  for (const Task& task : tasks_) {
    std::string what = absl::AsciiStrToLower(task.state);
    if (task.state == "PENDING") {
      what = task.reason == "None" ? "waiting" : absl::StrCat("waiting (", task.reason, ")");
    }
    ++counts[what];
  }
  if (!unsent_.empty()) counts["to submit"] = static_cast<int>(unsent_.size());
  return Counted(counts);
}

std::vector<std::string> SlurmLauncher::TakeNotes() { return std::exchange(notes_, {}); }

// A batch is needed while a task of it is under way, or has succeeded and its run is not yet noted
// as finished.
void SlurmLauncher::RemoveWhatIsDone() {
  for (const auto& [name, batch] : batches_) {
    bool needed = std::any_of(tasks_.begin(), tasks_.end(),
                              [&name = name](const Task& task) { return task.batch == name; });
    for (size_t i = 0; i < batch.tasks.size() && !needed; ++i) {
      const int number = static_cast<int>(i);
      const std::optional<SlurmTaskExit> exit = ExitOf(batch, number);
      const auto queued = queue_.find({name, number});
      if (exit.has_value()) {
        const std::string folder = absl::StrCat(context_.output, "/", batch.tasks[i].path);
        const std::string& digest = batch.tasks[i].digest;
        needed = exit->status == 0 && DigestOf(TextToFinish(folder)) == digest &&
                 DigestOf(Contents(FinishedFile(folder))) != digest;
      } else {
        needed = queued != queue_.end() && IsUnderWay(queued->second.state);
      }
    }
    if (!needed) RemoveBatch(context_.output, batch);
  }
}

}  // namespace cmerc
