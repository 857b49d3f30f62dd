#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bin/commands.h"
#include "bin/output.h"
#include "bin/session.h"
#include "bin/this_program.h"
#include "bin/version.h"
#include "config/paths.h"
#include "core/status.h"
#include "experiment/gather.h"
#include "experiment/local_launcher.h"
#include "experiment/plan.h"
#include "experiment/runner.h"
#include "experiment/table.h"
#include "metrics/json.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

absl::Status CheckFlags(const Flags& flags) {
  for (const char* flag : {"config", "output"}) {
    if (flags.has(flag)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag,
                     "= is missing; try --config=config/experiments/quickstart.textproto "
                     "--output=runs/experiment"));
  }
  return absl::OkStatus();
}

absl::Status MakeOutput(const std::string& output) {
  std::error_code error;
  std::filesystem::create_directories(output, error);
  if (!error) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--output=", output,
                                                 ": cannot create it: ", error.message(),
                                                 "; choose a folder that can be written"));
}

// Writes the results into `output` and prints their table.
absl::Status Publish(const ExperimentResults& results, const std::string& output) {
  const std::string table = FormatMarkdown(results);
  for (const auto& [file, text] :
       {std::make_pair("results.md", table), std::make_pair("results.csv", FormatCsv(results)),
        std::make_pair("results.json", ToJson(results, /*pretty=*/true))}) {
    RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(output, "/", file), text));
  }
  std::cout << "\n"
            << table << "\nwritten to " << output << ": results.md, results.csv, results.json\n";
  return absl::OkStatus();
}

}  // namespace

absl::Status ExperimentCommand(const Flags& flags) {
  RETURN_IF_ERROR(CheckFlags(flags));
  std::vector<std::string> warnings;
  const absl::StatusOr<ExperimentPlan> plan = LoadPlan(flags.Get("config"), &warnings);
  PrintWarnings(warnings);
  RETURN_IF_ERROR(plan.status());
  ASSIGN_OR_RETURN(const std::vector<PlannedRun> runs, RunsOf(*plan, kVersion));
  ASSIGN_OR_RETURN(const std::string program, ThisProgram());
  const std::string output = flags.Get("output");
  RETURN_IF_ERROR(MakeOutput(output));
  std::vector<std::string> inputs = {flags.Get("config")};
  for (const PlannedRun& run : runs) {
    for (std::string& path : PathsIn(run.config)) inputs.push_back(std::move(path));
  }
  RETURN_IF_ERROR(CheckExperimentOutput(output, inputs));

  std::cout << runs.size() << " runs in " << output << "\n" << std::flush;
  LocalLauncher launcher(program, plan->parallel_runs());
  ASSIGN_OR_RETURN(const std::vector<std::string> failures, DoRuns(runs, output, launcher));
  ASSIGN_OR_RETURN(ExperimentResults results, GatherResults(*plan, runs, output));
  for (const std::string& failure : failures) results.add_failed_runs(failure);
  RETURN_IF_ERROR(Publish(results, output));
  if (failures.empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(failures.size(), " of ", runs.size(),
                                             " runs failed; the same command repeats only those"));
}

}  // namespace cmerc
