// Statistics over seeds. Every function is deterministic.
#ifndef CMERC_EXPERIMENT_STATISTICS_H_
#define CMERC_EXPERIMENT_STATISTICS_H_

#include <cstdint>
#include <vector>

#include "experiment/results.pb.h"

namespace cmerc {

// Mean, deviation and interval of `values`, of which there is at least one.
Statistic Describe(const std::vector<double>& values);

// What a Student's t variable of `degrees` (>= 1) degrees of freedom exceeds with probability
// 2.5 %: the half width of a 95 % interval in standard errors.
double TQuantile(int64_t degrees);

// Comparison.p_value for paired differences, of which there is at least one: the share of sign
// patterns whose mean is as far from 0 as the mean of `differences`, or farther. In (0, 1].
double RandomizationTest(const std::vector<double>& differences);

// The p-values of a family of tests, in their order, corrected by Holm (Scandinavian Journal of
// Statistics 6, 1979) so that with probability 95 % none of the true hypotheses has one of 0.05 or
// less, however the tests depend on each other.
std::vector<double> HolmCorrected(const std::vector<double>& p_values);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_STATISTICS_H_
