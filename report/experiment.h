// An experiment of `cmerc experiment`, read from its folder, and as one HTML page.
#ifndef CMERC_REPORT_EXPERIMENT_H_
#define CMERC_REPORT_EXPERIMENT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiment/results.pb.h"

namespace cmerc {

// The results of the experiment in the folder `path`. NotFound, PermissionDenied or
// InvalidArgument: there are none yet, or results.json cannot be read; the message says what to do.
absl::StatusOr<ExperimentResults> ReadExperiment(const std::string& path);

// A page as FormatPage() makes it, of an experiment over its seeds: what to know before trusting
// it, scores with the seeds as points, differences with their intervals over conversations, F1 of
// each class, calibration and its differences, and what the numbers are. `path` names the
// experiment. Equal results give equal bytes.
std::string FormatExperimentPage(const std::string& path, const ExperimentResults& results);

namespace report {

// What a reader of the results should know before trusting them, a sentence each: what is not
// compared, runs that failed, scores that the test set selected, models of a single seed, and
// calibrated models whose weighted F1 is more than a point below the uncalibrated one's.
std::vector<std::string> ExperimentRemarks(const ExperimentResults& results);

}  // namespace report
}  // namespace cmerc

#endif  // CMERC_REPORT_EXPERIMENT_H_
