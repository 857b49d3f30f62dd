// Gathers what the runs of an experiment found.
#ifndef CMERC_EXPERIMENT_GATHER_H_
#define CMERC_EXPERIMENT_GATHER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiment/plan.h"
#include "experiment/results.pb.h"

namespace cmerc {

// The rows of the finished runs of the experiment in `output`: datasets in the order of the plan,
// then variants. DataLoss: a summary.json or test_predictions.jsonl cannot be read. Runs of earlier
// versions have no test_predictions.jsonl, and so no comparison over utterances.
absl::StatusOr<ExperimentResults> GatherResults(const ExperimentPlan& plan,
                                                const std::vector<PlannedRun>& runs,
                                                const std::string& output);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_GATHER_H_
