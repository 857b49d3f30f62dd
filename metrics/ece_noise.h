// How much of an ECE (metrics/calibration.h) is the size of the split.
#ifndef CMERC_METRICS_ECE_NOISE_H_
#define CMERC_METRICS_ECE_NOISE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"

namespace cmerc {

// A prediction as the ECE sees it.
struct BinnedPrediction {
  int bin;            // 0, 1, ..., of its confidence
  double confidence;  // in [0, 1]
  bool right;
};

// The ECE that these confidences would show on average if they were perfectly calibrated: if each
// prediction were right with the probability that is its confidence, whatever the others are. It is
// above 0, since in a bin of a few utterances the share that is right differs from that probability
// by chance. Nothing is drawn: it is the mean over all outcomes (Poisson's binomial distribution),
// by a normal distribution where a bin's variance is above 1000, which is off by less than 1e-4 of
// the value. `predictions` are at least one.
double EceFloor(absl::Span<const BinnedPrediction> predictions);

// The standard error of the ECE: the deviation of the ECEs of 1000 resamples of the conversations,
// whose utterances are not independent. lengths[k] is how many of `predictions` belong to
// conversation k, in order. Equal input gives equal bits. Unset for fewer than two conversations.
std::optional<double> EceError(absl::Span<const BinnedPrediction> predictions,
                               absl::Span<const int64_t> lengths);

}  // namespace cmerc

#endif  // CMERC_METRICS_ECE_NOISE_H_
