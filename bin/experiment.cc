#include <google/protobuf/any.pb.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bin/commands.h"
#include "bin/configs_folder.h"
#include "bin/option_search.h"
#include "bin/output.h"
#include "bin/session.h"
#include "bin/stop_signal.h"
#include "bin/this_program.h"
#include "bin/version.h"
#include "bin/worker_flags.h"
#include "config/paths.h"
#include "core/status.h"
#include "experiment/claims.h"
#include "experiment/csv.h"
#include "experiment/finished_runs.h"
#include "experiment/gather.h"
#include "experiment/halving.h"
#include "experiment/latex.h"
#include "experiment/launcher.h"
#include "experiment/plan.h"
#include "experiment/run_files.h"
#include "experiment/runner.h"
#include "experiment/search.h"
#include "experiment/table.h"
#include "experiment/worker_runs.h"
#include "metrics/json.h"
#include "registry/registry.h"
#include "storage/atomic_file.h"
#include "storage/run_folder.h"

namespace cmerc {
namespace {

// What an experiment writes when its runs have ended, in this order.
constexpr std::array<const char*, 5> kResultFiles = {
    "results.md", "results.csv", "results_runs.csv", "results.tex", "results.json"};

constexpr char kDefaultLauncher[] = "cmerc.LocalOptions";

absl::Status CheckFlags(const Flags& flags) {
  for (const char* flag : {"config", "output"}) {
    if (flags.has(flag)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, "= is missing; try --config=", ConfigsFolder(),
                     "/experiments/quickstart.textproto --output=runs/experiment"));
  }
  return absl::OkStatus();
}

PlanChanges ChangesOf(const Flags& flags) {
  PlanChanges changes;
  if (flags.has("seeds")) changes.seeds = flags.Get("seeds");
  if (flags.has("jobs")) changes.jobs = flags.Get("jobs");
  return changes;
}

// All that the runs and the plan are read from.
std::vector<std::string> FilesReadBy(const Flags& flags, const std::vector<PlannedRun>& runs) {
  std::vector<std::string> inputs = {flags.Get("config")};
  for (const PlannedRun& run : runs) {
    for (std::string& path : PathsIn(run.config)) inputs.push_back(std::move(path));
  }
  return inputs;
}

absl::Status MakeOutput(const std::string& output) {
  std::error_code error;
  std::filesystem::create_directories(output, error);
  if (!error) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--output=", output,
                                                 ": cannot create it: ", error.message(),
                                                 "; choose a folder that can be written"));
}

// Writes the plan into the folder of the experiment, unless it is read from there or is there
// already.
absl::Status WritePlan(const ExperimentPlan& plan, const Flags& flags) {
  const std::string file = PlanFile(flags.Get("output"));
  std::error_code none;
  if (std::filesystem::equivalent(file, flags.Get("config"), none)) return absl::OkStatus();
  const std::string text = PlanText(plan, kVersion, flags.All("set"));
  return Contents(file) == text ? absl::OkStatus() : WriteFileAtomically(file, text);
}

// What would be done, without doing it.
void PrintDryRun(const std::vector<PlannedRun>& runs, const ExperimentPlan& plan,
                 const std::string& output) {
  size_t finished = 0, interrupted = 0;
  for (const PlannedRun& run : runs) {
    const RunState state = StateOf(run, output);
    finished += state == RunState::kFinished ? 1 : 0;
    interrupted += state == RunState::kInterrupted ? 1 : 0;
    std::cout << run.path() << ": "
              << (state == RunState::kFinished      ? "finished"
                  : state == RunState::kInterrupted ? "begun, goes on"
                                                    : "to do")
              << "\n";
  }
  std::cout << runs.size() << " runs in " << output << ": " << finished << " finished, "
            << interrupted << " to go on with, " << runs.size() - finished - interrupted
            << " to do, "
            << (plan.parallel_runs() > 0 ? absl::StrCat(plan.parallel_runs(), " at the same time")
                : plan.has_launcher() && PluginType(plan.launcher()) != kDefaultLauncher
                    ? "by " + ShortPluginName(PluginType(plan.launcher()))
                    : "one at the same time for each processor")
            << "; nothing was started or written (--dry_run)\n";
}

// Writes the results into `output` and prints their table.
absl::Status Publish(const ExperimentResults& results, const std::vector<FinishedRun>& runs,
                     const std::string& output) {
  const std::string table = FormatMarkdown(results);
  const std::vector<std::string> texts = {table, FormatCsv(results), FormatRunsCsv(runs),
                                          FormatLatex(results), ToJson(results, /*pretty=*/true)};
  for (size_t i = 0; i < texts.size(); ++i) {
    RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(output, "/", kResultFiles[i]), texts[i]));
  }
  std::cout << "\n"
            << table << "\nwritten to " << output << ": " << absl::StrJoin(kResultFiles, ", ")
            << "\nas pictures: cmerc report " << output << " --output=report.html\n";
  return absl::OkStatus();
}

// The launcher of the plan. InvalidArgument: its options are not valid, or no worker can have it.
absl::StatusOr<std::unique_ptr<Launcher>> MakeLauncher(const ExperimentPlan& plan,
                                                       const std::string& output, bool worker) {
  ASSIGN_OR_RETURN(const std::string program, ThisProgram());
  google::protobuf::Any options = plan.launcher();
  if (!plan.has_launcher()) {
    options.set_type_url(absl::StrCat("type.googleapis.com/", kDefaultLauncher));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Launcher> launcher,
                   Launchers().Create(options, {program, output, plan.parallel_runs()}));
  if (!worker || !launcher->LeavesRuns()) return launcher;
  return absl::InvalidArgumentError(
      absl::StrCat("--worker does runs on this machine, but the launcher of the plan is ",
                   ShortPluginName(PluginType(options)),
                   ", which spreads them itself; leave out --worker and --shard, or the launcher"));
}

// InvalidArgument: a process would do a part of the trials, and wait for no other.
absl::Status CheckShard(const WorkerFlags& worker) {
  if (worker.shards == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "search: --shard does its part of the runs and waits for no other, but how a trial goes on "
      "depends on all of them; give --worker in its place, to as many processes as you like");
}

// How this process does runs of the experiment. `runs` are those that all processes are to mean
// alike when it next begins.
RunnerOptions OptionsOf(const ExperimentPlan& plan, const Flags& flags, const WorkerFlags& worker,
                        const Launcher& launcher, const std::vector<PlannedRun>& runs,
                        Claims& claims) {
  RunnerOptions options;
  options.alone = !worker.worker;
  options.begin = [&plan, &flags, &worker, &runs] {
    RETURN_IF_ERROR(AgreeOnRuns(runs, flags.Get("output"), worker.worker));
    return WritePlan(plan, flags);
  };
  options.should_stop = [] { return StopSignal() != 0; };
  if (!launcher.LeavesRuns()) options.claims = &claims;
  return options;
}

// Whether this process is to write the tables: all runs have ended, and no other worker does it.
absl::StatusOr<bool> WritesTables(const std::vector<PlannedRun>& runs, const std::string& output,
                                  size_t failed, Claims& claims) {
  size_t finished = 0;
  for (const PlannedRun& run : runs) finished += IsFinished(RunFolder(output, run), run) ? 1 : 0;
  if (finished + failed < runs.size()) {
    std::cout << finished << " of the " << runs.size()
              << " runs of the experiment are finished; the worker that finishes last writes the "
                 "tables, or the same command without --worker and --shard\n";
    return false;
  }
  ASSIGN_OR_RETURN(const Claims::Answer answer, claims.Take(output));
  if (answer.state == Claims::State::kMine) return true;
  std::cout << "all runs have ended; " << answer.text << " writes the tables\n";
  return false;
}

// Removes what processes that share the folder have told each other, where that is past.
void RemoveTraces(const std::vector<PlannedRun>& runs, const std::string& output) {
  bool all = true;
  for (PlannedRun run : runs) {
    const std::string folder = RunFolder(output, run);
    // A trial may have been dropped at any time.
    if (run.trial.has_value()) run.stop_after = 1;
    const bool finished = IsFinished(folder, run) || WhyFailed(run, output).has_value();
    if (finished) RemoveClaims(folder);
    all = all && finished;
  }
  if (all) unlink(WorkerRunsFile(output).c_str());
}

// The plan as the command line changes it.
absl::StatusOr<ExperimentPlan> LoadChangedPlan(const Flags& flags) {
  std::vector<std::string> warnings;
  absl::StatusOr<ExperimentPlan> plan = LoadPlan(flags.Get("config"), &warnings);
  PrintWarnings(warnings);
  if (absl::IsNotFound(plan.status())) {
    return absl::NotFoundError(absl::StrCat(plan.status().message(), " (", ConfigsFolder(),
                                            "/experiments/ has plans to start from)"));
  }
  RETURN_IF_ERROR(plan.status());
  RETURN_IF_ERROR(ChangePlan(ChangesOf(flags), &*plan));
  return plan;
}

// Does the trials of a search and the runs as far as they are this process's, and writes the
// tables.
absl::Status DoExperiment(const ExperimentPlan& plan, const std::optional<SearchPlan>& search,
                          const Flags& flags, const WorkerFlags& worker, Launcher& launcher,
                          std::vector<PlannedRun> runs) {
  const std::string output = flags.Get("output");
  std::vector<PlannedRun> trials;
  if (search.has_value()) trials = RunsOfTrials(*search);
  Claims::Options claiming;
  claiming.alone = !worker.worker;
  claiming.patience = worker.patience;
  Claims claims(claiming);
  if (!launcher.LeavesRuns()) {
    std::vector<std::string> folders;
    for (const PlannedRun& trial : trials) folders.push_back(RunFolder(output, trial));
    for (const PlannedRun& run : runs) folders.push_back(RunFolder(output, run));
    claims.Begin(folders);
    claims.StartBeating();
  }
  CatchStopSignals(launcher.LeavesRuns() ? kLeavesJobs : kStopsAfterStep);
  std::vector<PlannedRun> meant;
  const RunnerOptions options = OptionsOf(plan, flags, worker, launcher, meant, claims);
  const size_t wanted = runs.size();
  std::vector<FailedRun> failures;
  if (search.has_value()) {
    meant = TrialsToAgreeOn(*search);
    const RunsDoer do_runs = [&](const std::vector<PlannedRun>& some) {
      return DoRuns(some, output, launcher, options).status();
    };
    RETURN_IF_ERROR(SearchOptions(*search, output, do_runs, &runs, &failures));
  }
  meant = runs;
  ASSIGN_OR_RETURN(const std::vector<FailedRun> failed_runs,
                   DoRuns(worker.PartOf(runs), output, launcher, options));
  bool writes = true;
  if (worker.worker) {
    ASSIGN_OR_RETURN(writes, WritesTables(runs, output, failed_runs.size(), claims));
  }
  failures.insert(failures.end(), failed_runs.begin(), failed_runs.end());
  if (writes) {
    ASSIGN_OR_RETURN(const std::vector<FinishedRun> finished, ReadFinishedRuns(runs, output));
    ASSIGN_OR_RETURN(ExperimentResults results, GatherResults(plan, runs, finished));
    for (const FailedRun& failure : failures) results.add_failed_runs(failure.text());
    RETURN_IF_ERROR(Publish(results, finished, output));
    trials.insert(trials.end(), runs.begin(), runs.end());
    RemoveTraces(trials, output);
  }
  if (failures.empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(failures.size(), " of ", wanted,
                                             " runs failed; the same command repeats only those"));
}

}  // namespace

absl::Status ExperimentCommand(const Flags& flags) {
  RETURN_IF_ERROR(CheckFlags(flags));
  ASSIGN_OR_RETURN(const ExperimentPlan plan, LoadChangedPlan(flags));
  std::vector<std::string> warnings;
  ASSIGN_OR_RETURN(std::vector<PlannedRun> runs,
                   RunsOf(plan, kVersion, flags.All("set"), &warnings));
  PrintWarnings(warnings);
  std::optional<SearchPlan> search;
  if (plan.has_search()) {
    ASSIGN_OR_RETURN(search, PlanSearch(plan, runs, kVersion, flags.All("set")));
  }
  const std::string output = flags.Get("output");
  RETURN_IF_ERROR(CheckExperimentOutput(output, kResultFiles, FilesReadBy(flags, runs)));
  ASSIGN_OR_RETURN(const WorkerFlags worker, WorkerFlags::Parse(flags));
  if (search.has_value()) {
    RETURN_IF_ERROR(CheckExperimentOutput(output, kSearchFiles, FilesReadBy(flags, runs)));
    RETURN_IF_ERROR(CheckShard(worker));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<Launcher> launcher,
                   MakeLauncher(plan, output, worker.worker));
  if (flags.has("dry_run")) {
    if (search.has_value()) PrintTrials(*search, output);
    PrintDryRun(runs, plan, output);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(launcher->CheckMachine());
  RETURN_IF_ERROR(MakeOutput(output));
  std::cout << runs.size() << " runs in " << output << "\n" << std::flush;
  return DoExperiment(plan, search, flags, worker, *launcher, std::move(runs));
}

}  // namespace cmerc
