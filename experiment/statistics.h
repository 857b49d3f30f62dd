// Statistics over seeds and over utterances. Every function is deterministic.
#ifndef CMERC_EXPERIMENT_STATISTICS_H_
#define CMERC_EXPERIMENT_STATISTICS_H_

#include <cstdint>
#include <vector>

#include "experiment/results.pb.h"

namespace cmerc {

// Of `values`, of which there is at least one.
Statistic Describe(const std::vector<double>& values);

// The p-value of Comparison for paired differences, of which there is at least one: the share of
// sign patterns whose mean is as far from 0 as that of `differences`, or farther. In (0, 1].
double RandomisationTest(const std::vector<double>& differences);

// What two systems predict for the same utterances, with one seed.
struct PairedPredictions {
  std::vector<int32_t> ours;    // [N]
  std::vector<int32_t> theirs;  // [N]
};

// The p-value of UtteranceComparison. `seeds`: one entry or more, each of the utterances of
// `labels` [N], N >= 1; classes are not negative. In (0, 1]; 10 000 rounds and the observed one.
// Source: Noreen, Computer-Intensive Methods for Testing Hypotheses, 1989; Yeh, COLING 2000.
double UtteranceRandomisationTest(const std::vector<int32_t>& labels,
                                  const std::vector<PairedPredictions>& seeds);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_STATISTICS_H_
