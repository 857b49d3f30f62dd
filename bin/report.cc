#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bin/commands.h"
#include "bin/output.h"
#include "core/status.h"
#include "report/page.h"
#include "report/remarks.h"
#include "report/run.h"
#include "storage/atomic_file.h"

namespace cmerc {

absl::Status ReportCommand(const Flags& flags) {
  if (flags.words().empty() || !flags.has("output")) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.words().empty() ? "the folder of a run" : "--output=FILE",
                     " is missing; try cmerc report runs/quickstart --output=report.html"));
  }
  const std::string output = flags.Get("output");
  RETURN_IF_ERROR(CheckOutput(flags, OutputKind::kPage));
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
  RETURN_IF_ERROR(WriteFileAtomically(output, FormatPage(runs)));
  std::cout << "written to " << output << "\n";
  return absl::OkStatus();
}

}  // namespace cmerc
