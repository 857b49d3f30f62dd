// Systems that do not differ: how often do the tests of //experiment say that they do?
#ifndef CMERC_BENCHMARKS_EXPERIMENT_NULL_SIMULATION_H_
#define CMERC_BENCHMARKS_EXPERIMENT_NULL_SIMULATION_H_

#include <cstdint>
#include <random>
#include <vector>

#include "experiment/over_conversations.h"

namespace cmerc {

// A test split: what the systems are measured on.
struct TestSplit {
  std::vector<int64_t> lengths;  // utterances of each conversation
  std::vector<int32_t> labels;   // [N]
  int32_t classes = 0;
};

// What two systems of equal quality predict for the split with each of `seeds` seeds. Whether a
// prediction is right depends, on the scale of log-odds, on how hard the utterance is (deviation
// 1), how hard the conversation is (deviation 1), how well the system gets on with the
// conversation, alike with all seeds (deviation `effect`), and how well this run does (deviation
// effect / 2). The effects of the two systems are drawn from the same distributions. On average 62
// to 64 % are right; half of the wrong predictions of a system in a conversation are of one class.
std::vector<PairedPredictions> DrawEqualSystems(const TestSplit& split, int seeds, double effect,
                                                std::mt19937_64* random);

// Shares of simulated comparisons of equal systems.
struct ErrorRates {
  double rejected = 0;             // p <= 0.05 when whole conversations are exchanged
  double rejected_utterances = 0;  // the same when utterances are exchanged, for comparison
  double covered = 0;              // the 95 % interval over conversations holds 0
};

// Compares `rounds` pairs of equal systems. The tests themselves exchange and draw 199 times, which
// leaves their error rate what it is. Deterministic.
ErrorRates MeasureErrorRates(const TestSplit& split, int seeds, double effect, int rounds);

// The share of `rounds` intervals of Describe() for `seeds` normal values that hold the mean they
// were drawn with. Deterministic.
double CoverageOverSeeds(int seeds, int rounds);

}  // namespace cmerc

#endif  // CMERC_BENCHMARKS_EXPERIMENT_NULL_SIMULATION_H_
