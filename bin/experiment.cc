#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bin/commands.h"
#include "bin/environment.h"
#include "bin/this_program.h"
#include "experiment/plan.h"
#include "experiment/runner.h"
#include "experiment/table.h"
#include "metrics/json.h"
#include "storage/atomic_file.h"

namespace cmerc {

absl::Status ExperimentCommand(const Flags& flags) {
  for (const char* flag : {"config", "output"}) {
    if (flags.has(flag)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag,
                     "= is missing; try --config=config/experiments/quickstart.textproto "
                     "--output=runs/experiment"));
  }
  const absl::StatusOr<ExperimentPlan> plan = LoadPlan(flags.Get("config"));
  if (!plan.ok()) return plan.status();
  const absl::StatusOr<std::vector<PlannedRun>> runs = RunsOf(*plan, Versions().at("cmerc"));
  if (!runs.ok()) return runs.status();
  RunnerOptions options;
  options.output = flags.Get("output");
  options.parallel_runs = plan->parallel_runs();
  const absl::StatusOr<std::string> program = ThisProgram();
  if (!program.ok()) return program.status();
  options.program = *program;
  std::error_code error;
  std::filesystem::create_directories(options.output, error);
  if (error) {
    return absl::InvalidArgumentError(absl::StrCat("--output=", options.output,
                                                   ": cannot create it: ", error.message(),
                                                   "; choose a folder that can be written"));
  }

  std::cout << runs->size() << " runs in " << options.output << "\n" << std::flush;
  const absl::StatusOr<std::vector<std::string>> failures = DoRuns(*runs, options);
  if (!failures.ok()) return failures.status();
  absl::StatusOr<ExperimentResults> results = GatherResults(*plan, *runs, options);
  if (!results.ok()) return results.status();
  for (const std::string& failure : *failures) results->add_failed_runs(failure);
  const std::string table = FormatMarkdown(*results);
  for (const auto& [file, text] :
       {std::make_pair("results.md", table), std::make_pair("results.csv", FormatCsv(*results)),
        std::make_pair("results.json", ToJson(*results, /*pretty=*/true))}) {
    const absl::Status status = WriteFileAtomically(absl::StrCat(options.output, "/", file), text);
    if (!status.ok()) return status;
  }
  std::cout << "\n"
            << table << "\nwritten to " << options.output
            << ": results.md, results.csv, results.json\n";
  if (failures->empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(failures->size(), " of ", runs->size(),
                                             " runs failed; the same command repeats only those"));
}

}  // namespace cmerc
