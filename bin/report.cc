#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "bin/commands.h"
#include "bin/output.h"
#include "core/status.h"
#include "report/experiment.h"
#include "report/page.h"
#include "report/remarks.h"
#include "report/run.h"
#include "storage/atomic_file.h"
#include "storage/run_folder.h"

namespace cmerc {

namespace {

// InvalidArgument: the name of --output is that of another kind of file than a page.
absl::Status CheckIsPage(const std::string& output) {
  const std::string ending =
      absl::AsciiStrToLower(std::filesystem::path(output).extension().string());
  const bool is_kind =
      ending.size() > 2 && std::all_of(ending.begin() + 1, ending.end(), absl::ascii_isalpha);
  if (!is_kind || ending == ".html" || ending == ".htm" || ending == ".xhtml") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--output=", output, ": a report is an HTML page, not a ", ending,
                   "; name it .html: --output=",
                   std::filesystem::path(output).replace_extension("html").string(),
                   ending == ".pdf" ? ", and print that as PDF from a browser" : ""));
}

absl::Status Write(const std::string& page, const std::string& output) {
  RETURN_IF_ERROR(WriteFileAtomically(output, page));
  std::cout << "written to " << output << "\n";
  return absl::OkStatus();
}

}  // namespace

absl::Status ReportCommand(const Flags& flags) {
  if (flags.words().empty() || !flags.has("output")) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.words().empty() ? "the folder of a run" : "--output=FILE",
                     " is missing; try cmerc report runs/quickstart --output=report.html"));
  }
  const std::string output = flags.Get("output");
  RETURN_IF_ERROR(CheckIsPage(output));
  RETURN_IF_ERROR(CheckOutput(flags, OutputKind::kPage));
  const auto experiment = std::find_if(flags.words().begin(), flags.words().end(), HoldsExperiment);
  if (experiment != flags.words().end()) {
    if (flags.words().size() > 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(*experiment,
                       " is an experiment, which has a report of its own; name it "
                       "alone, or name runs: ",
                       *experiment, "/.../seed-1"));
    }
    ASSIGN_OR_RETURN(const ExperimentResults results, ReadExperiment(*experiment));
    return Write(FormatExperimentPage(*experiment, results), output);
  }
  std::vector<TrainingRun> runs;
  for (const std::string& path : flags.words()) {
    ASSIGN_OR_RETURN(TrainingRun run, ReadRun(path));
    const bool twice = std::any_of(
        runs.begin(), runs.end(), [&](const TrainingRun& other) { return other.path == run.path; });
    if (twice) {
      return absl::InvalidArgumentError(
          absl::StrCat(run.path, " is given twice; name each run once"));
    }
    runs.push_back(std::move(run));
  }
  RETURN_IF_ERROR(report::CheckSameClasses(runs));
  return Write(FormatPage(runs), output);
}

}  // namespace cmerc
