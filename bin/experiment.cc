#include <array>
#include <cstddef>
#include <filesystem>
#include <iostream>
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
#include "config/paths.h"
#include "core/status.h"
#include "experiment/csv.h"
#include "experiment/finished_runs.h"
#include "experiment/gather.h"
#include "experiment/halving.h"
#include "experiment/latex.h"
#include "experiment/local_launcher.h"
#include "experiment/plan.h"
#include "experiment/runner.h"
#include "experiment/search.h"
#include "experiment/table.h"
#include "metrics/json.h"
#include "storage/atomic_file.h"
#include "storage/run_folder.h"

namespace cmerc {
namespace {

// What an experiment writes when its runs have ended, in this order.
constexpr std::array<const char*, 5> kResultFiles = {
    "results.md", "results.csv", "results_runs.csv", "results.tex", "results.json"};

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

// Writes the plan into the folder of the experiment, unless it is read from there.
absl::Status WritePlan(const ExperimentPlan& plan, const Flags& flags) {
  const std::string file = PlanFile(flags.Get("output"));
  std::error_code none;
  if (std::filesystem::equivalent(file, flags.Get("config"), none)) return absl::OkStatus();
  return WriteFileAtomically(file, PlanText(plan, kVersion, flags.All("set")));
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

}  // namespace

absl::Status ExperimentCommand(const Flags& flags) {
  RETURN_IF_ERROR(CheckFlags(flags));
  std::vector<std::string> warnings;
  absl::StatusOr<ExperimentPlan> plan = LoadPlan(flags.Get("config"), &warnings);
  PrintWarnings(warnings);
  if (absl::IsNotFound(plan.status())) {
    return absl::NotFoundError(absl::StrCat(plan.status().message(), " (", ConfigsFolder(),
                                            "/experiments/ has plans to start from)"));
  }
  RETURN_IF_ERROR(plan.status());
  RETURN_IF_ERROR(ChangePlan(ChangesOf(flags), &*plan));
  std::vector<std::string> warnings_of_sets;
  ASSIGN_OR_RETURN(std::vector<PlannedRun> runs,
                   RunsOf(*plan, kVersion, flags.All("set"), &warnings_of_sets));
  PrintWarnings(warnings_of_sets);
  std::optional<SearchPlan> search;
  if (plan->has_search()) {
    ASSIGN_OR_RETURN(search, PlanSearch(*plan, runs, kVersion, flags.All("set")));
  }
  const std::string output = flags.Get("output");
  RETURN_IF_ERROR(CheckExperimentOutput(output, kResultFiles, FilesReadBy(flags, runs)));
  if (search.has_value()) {
    RETURN_IF_ERROR(CheckExperimentOutput(output, kSearchFiles, FilesReadBy(flags, runs)));
  }
  if (flags.has("dry_run")) {
    if (search.has_value()) PrintTrials(*search, output);
    PrintDryRun(runs, *plan, output);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string program, ThisProgram());
  RETURN_IF_ERROR(MakeOutput(output));
  std::cout << runs.size() << " runs in " << output << "\n" << std::flush;
  CatchStopSignals(kStopsAfterStep);
  LocalLauncher launcher(program, plan->parallel_runs());
  RunnerOptions options;
  options.begin = [&] { return WritePlan(*plan, flags); };
  options.should_stop = [] { return StopSignal() != 0; };
  const RunsDoer do_runs = [&](const std::vector<PlannedRun>& some) {
    return DoRuns(some, output, launcher, options);
  };
  std::vector<std::string> failures;
  const size_t wanted = runs.size();
  if (search.has_value()) {
    RETURN_IF_ERROR(SearchOptions(*search, output, do_runs, &runs, &failures));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> failed_runs, do_runs(runs));
  failures.insert(failures.end(), failed_runs.begin(), failed_runs.end());
  ASSIGN_OR_RETURN(const std::vector<FinishedRun> finished, ReadFinishedRuns(runs, output));
  ASSIGN_OR_RETURN(ExperimentResults results, GatherResults(*plan, runs, finished));
  for (const std::string& failure : failures) results.add_failed_runs(failure);
  RETURN_IF_ERROR(Publish(results, finished, output));
  if (failures.empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(failures.size(), " of ", wanted,
                                             " runs failed; the same command repeats only those"));
}

}  // namespace cmerc
