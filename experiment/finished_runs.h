// The runs of an experiment that have succeeded, and what they report.
#ifndef CMERC_EXPERIMENT_FINISHED_RUNS_H_
#define CMERC_EXPERIMENT_FINISHED_RUNS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiment/plan.h"
#include "metrics/report.pb.h"

namespace cmerc {

// A model that a run trained: the run itself, or the uncalibrated model that
// training.compare_uncalibrated adds.
struct FinishedRun {
  std::string dataset;       // "" when the plan names none
  std::string base_variant;  // the variant of the plan; "" when the plan names none
  bool is_uncalibrated;      // the added model
  uint64_t seed;
  std::string folder;
  RunSummary summary;
  // The part of data.test_folds that it was tested on; unset without test folds.
  std::optional<int> test_fold = {};
  // The folders of the test folds that were put together (experiment/test_folds.h), whose
  // predictions are then those of the run; empty for a run of its own.
  std::vector<std::string> fold_folders = {};

  // "gru", or "gru, uncalibrated" for the added model.
  std::string variant() const;
  // RunSummary.calibrated; where a summary of an earlier version does not say, what follows from
  // there being an added model.
  std::optional<bool> calibrated() const;
};

// What temperature scaling makes of a split; null where it was not measured.
const PostHocReport* TemperatureOf(const SplitReport& split);

// What each run of the experiment in `output` left that has succeeded as the run that it is now, in
// the order of `runs`; an added model comes before its run. DataLoss: a summary.json cannot be
// read.
absl::StatusOr<std::vector<FinishedRun>> ReadFinishedRuns(const std::vector<PlannedRun>& runs,
                                                          const std::string& output);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_FINISHED_RUNS_H_
