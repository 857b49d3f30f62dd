// Statistics over seeds and over utterances. Every function is deterministic.
#ifndef CMERC_EXPERIMENT_STATISTICS_H_
#define CMERC_EXPERIMENT_STATISTICS_H_

#include <cstdint>
#include <vector>

#include "experiment/results.pb.h"

namespace cmerc {

// Mean, deviation and interval of `values`, of which there is at least one.
Statistic Describe(const std::vector<double>& values);

// Comparison.p_value for paired differences, of which there is at least one: the share of sign
// patterns whose mean is as far from 0 as the mean of `differences`, or farther. In (0, 1].
double RandomizationTest(const std::vector<double>& differences);

// What two systems predict for the same utterances, with one seed.
struct PairedPredictions {
  std::vector<int32_t> ours;    // [N]
  std::vector<int32_t> theirs;  // [N]
};

// UtteranceComparison.p_value, in (0, 1], from 10 000 rounds and the observed one. `labels` is [N],
// N >= 1; `seeds` has one entry or more, each with predictions of the same N utterances; classes
// are not negative. Source: Noreen, Computer-Intensive Methods for Testing Hypotheses, 1989; Yeh,
// COLING 2000.
double UtteranceRandomizationTest(const std::vector<int32_t>& labels,
                                  const std::vector<PairedPredictions>& seeds);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_STATISTICS_H_
