// Gathers what the runs of an experiment found.
#ifndef CMERC_EXPERIMENT_GATHER_H_
#define CMERC_EXPERIMENT_GATHER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "experiment/finished_runs.h"
#include "experiment/plan.h"
#include "experiment/results.pb.h"

namespace cmerc {

// The rows of the runs of an experiment that are finished: datasets in the order of the plan, then
// variants. DataLoss: a test_predictions.jsonl or test_views.jsonl cannot be read. Runs of earlier
// versions have one or neither of them, and so lack comparisons over conversations.
absl::StatusOr<ExperimentResults> GatherResults(const ExperimentPlan& plan,
                                                const std::vector<PlannedRun>& planned,
                                                const std::vector<FinishedRun>& finished);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_GATHER_H_
