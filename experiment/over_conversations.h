// Whether a difference between two systems would remain with other conversations. The utterances of
// a conversation are not independent of each other: a system that misjudges a speaker misjudges
// many of them. So conversations are what is exchanged and drawn, whole and for all seeds together.
#ifndef CMERC_EXPERIMENT_OVER_CONVERSATIONS_H_
#define CMERC_EXPERIMENT_OVER_CONVERSATIONS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/types/span.h"
#include "experiment/results.pb.h"

namespace cmerc {

// What two systems predict for the same utterances, with one seed.
struct PairedPredictions {
  std::vector<int32_t> ours;    // [N]
  std::vector<int32_t> theirs;  // [N]
};

// What two systems contribute to a measure with one seed: as many sums for each conversation as the
// measure is made of, conversation by conversation.
struct PairedSums {
  std::vector<double> ours;    // [K * sums]
  std::vector<double> theirs;  // [K * sums]
};

// A measure of a split from its sums over conversations and its number of utterances, above 0.
using SumMeasure = std::function<double(absl::Span<const double> sums, double utterances)>;

// How often conversations are exchanged and drawn.
struct Rounds {
  int exchanges = 10000;
  int resamples = 2000;
};

// Compares the mean over `seeds` (one or more) of the weighted F1 of two systems: the number that
// tables show. lengths[k] is how many of the utterances belong to conversation k, in order; their
// sum is N. `labels` is [N], N >= 1; classes are not negative. Fills every field but
// p_value_holm. Deterministic.
//   p_value    approximate randomization (Noreen, Computer-Intensive Methods for Testing
//              Hypotheses, 1989; Yeh, COLING 2000): the share of the rounds, 10 000 and the
//              observed one, whose difference is as far from 0 or farther, where in a round every
//              conversation exchanges the predictions of the two systems with probability 1/2. In
//              (0, 1]; with K conversations that make a difference about 2 / 2^K at least.
//   low, high  the observed difference -+ t * e, e the deviation of the differences of 2000
//              resamples of conversations, times sqrt(K / (K - 1)) for K conversations, and t
//              Student's quantile for K - 1 degrees of freedom; unset for K = 1. Percentiles of the
//              resamples would be too narrow for few conversations.
ConversationComparison CompareOverConversations(const std::vector<int32_t>& labels,
                                                const std::vector<int64_t>& lengths,
                                                const std::vector<PairedPredictions>& seeds,
                                                const Rounds& rounds = {});

// The same of another measure than weighted F1. lengths[k] is the utterances of conversation k;
// there are one or more of them, one seed or more, and one utterance or more.
ConversationComparison CompareSumsOverConversations(const std::vector<int64_t>& lengths,
                                                    const std::vector<PairedSums>& seeds,
                                                    const SumMeasure& measure,
                                                    const Rounds& rounds = {});

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_OVER_CONVERSATIONS_H_
