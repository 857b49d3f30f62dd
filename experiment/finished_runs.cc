#include "experiment/finished_runs.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "experiment/labels.h"
#include "experiment/run_files.h"
#include "storage/run_folder.h"

namespace cmerc {

std::string FinishedRun::variant() const {
  if (!is_uncalibrated) return base_variant;
  return absl::StrCat(ShownVariant(base_variant), ", uncalibrated");
}

std::optional<bool> FinishedRun::calibrated() const {
  if (summary.has_calibrated()) return summary.calibrated().value();
  if (is_uncalibrated) return false;
  return summary.has_uncalibrated() ? std::optional<bool>(true) : std::nullopt;
}

const PostHocReport* TemperatureOf(const SplitReport& split) {
  for (const PostHocReport& one : split.post_hoc()) {
    if (one.method() == "temperature") return &one;
  }
  return nullptr;
}

absl::StatusOr<std::vector<FinishedRun>> ReadFinishedRuns(const std::vector<PlannedRun>& runs,
                                                          const std::string& output) {
  std::vector<FinishedRun> finished;
  for (const PlannedRun& run : runs) {
    const std::string folder = RunFolder(output, run);
    if (!IsFinished(folder, run)) continue;
    ASSIGN_OR_RETURN(RunSummary summary, ReadSummary(folder));
    if (summary.has_uncalibrated()) {
      finished.push_back({run.dataset, run.variant, /*is_uncalibrated=*/true, run.seed,
                          UncalibratedFolder(folder), summary.uncalibrated(), run.test_fold});
    }
    finished.push_back({run.dataset, run.variant, /*is_uncalibrated=*/false, run.seed, folder,
                        std::move(summary), run.test_fold});
  }
  return finished;
}

}  // namespace cmerc
