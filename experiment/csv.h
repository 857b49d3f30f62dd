// The results of an experiment for other programs, such as pandas (docs/pandas.md).
#ifndef CMERC_EXPERIMENT_CSV_H_
#define CMERC_EXPERIMENT_CSV_H_

#include <string>
#include <vector>

#include "experiment/finished_runs.h"
#include "experiment/results.pb.h"

namespace cmerc {

// Comma-separated values: a line per dataset, variant and number, with the columns dataset,
// variant, measure, seeds, mean, standard_deviation, low, high, protocol, base_variant, calibrated.
// Measures that end in _scaled are after temperature scaling. The deviation and the interval of a
// single run, or of a p-value, are empty, and so is `calibrated` where the runs do not say; dataset
// and variant never are: "base" is what the plan does not name.
std::string FormatCsv(const ExperimentResults& results);

// Comma-separated values: a line per model, seed and split, with a column for each number of the
// split. Empty: the split has no such number, as the class of another dataset, or the run does not
// say.
std::string FormatRunsCsv(const std::vector<FinishedRun>& runs);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_CSV_H_
