// Leave one out: the runs of one seed that each tested on another part of the conversations
// (data.test_folds), as one run that tested on all of them.
#ifndef CMERC_EXPERIMENT_TEST_FOLDS_H_
#define CMERC_EXPERIMENT_TEST_FOLDS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiment/compare.h"
#include "experiment/finished_runs.h"
#include "experiment/plan.h"

namespace cmerc {

struct PooledRuns {
  std::vector<FinishedRun> runs;
  std::vector<std::string> remarks;  // which seeds are left out, and why
};

// `finished`, runs of `planned`, with the test folds of each dataset, variant and seed put
// together; runs without test folds stay as they are. Scores of the test split are those of the
// predictions of all folds together, not means of their scores; valid has the mean of their
// weighted F1 alone. Of the views what needs probabilities of every class is unset. A seed of which
// a fold has not finished is left out. DataLoss: a test_predictions.jsonl or test_views.jsonl
// cannot be read, or the folds have other classes.
absl::StatusOr<PooledRuns> PoolTestFolds(const std::vector<PlannedRun>& planned,
                                         const std::vector<FinishedRun>& finished,
                                         TestFiles* files);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_TEST_FOLDS_H_
