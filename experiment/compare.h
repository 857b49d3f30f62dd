// Compares systems, over seeds and over conversations.
#ifndef CMERC_EXPERIMENT_COMPARE_H_
#define CMERC_EXPERIMENT_COMPARE_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiment/finished_runs.h"
#include "experiment/results.pb.h"
#include "experiment/test_predictions.h"
#include "experiment/test_views.h"

namespace cmerc {

// What the runs of one dataset and variant found, of which there is at least one, in the order of
// their seeds.
using Scores = std::vector<const FinishedRun*>;

// What runs left for comparisons, by the folder of the run: a file is read once, however many
// systems are compared with it. DataLoss: a file cannot be read.
class TestFiles {
 public:
  absl::StatusOr<const TestPredictions*> Predictions(const FinishedRun& run);
  absl::StatusOr<const TestViews*> Views(const FinishedRun& run);

 private:
  std::map<std::string, TestPredictions> predictions_;
  std::map<std::string, TestViews> views_;
};

// Fills row->comparison with how a system compares with its baseline `name`, over the seeds that
// both have, and leaves it unset where they share none. Where they may not be compared, or only
// over seeds, `remarks` say so. Errors: those of TestFiles.
absl::Status Compare(const Scores& scores, const Scores& baseline, const std::string& name,
                     TestFiles* files, ExperimentRow* row, std::vector<std::string>* remarks);

// Fills what Holm makes of the p-values of all comparisons. There are four families: weighted F1
// over seeds and over conversations, and all measures of calibration over seeds and over
// conversations.
void CorrectPValues(ExperimentResults* results);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_COMPARE_H_
