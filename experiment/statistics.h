// Statistics over seeds. Every function is deterministic.
#ifndef CMERC_EXPERIMENT_STATISTICS_H_
#define CMERC_EXPERIMENT_STATISTICS_H_

#include <vector>

#include "experiment/results.pb.h"

namespace cmerc {

// Of `values`, of which there is at least one.
Statistic Describe(const std::vector<double>& values);

// The p-value of Comparison for paired differences, of which there is at least one: the share of
// sign patterns whose mean is as far from 0 as that of `differences`, or farther. In (0, 1].
double RandomisationTest(const std::vector<double>& differences);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_STATISTICS_H_
