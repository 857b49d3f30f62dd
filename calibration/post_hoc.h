// The standard remedies for confidences that cannot be trusted, fitted after training: what a
// calibrated model has to be compared with.
#ifndef CMERC_CALIBRATION_POST_HOC_H_
#define CMERC_CALIBRATION_POST_HOC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace cmerc {

// A function of one row x of C log-probabilities, followed by a log-softmax:
//   temperature            x / T (Guo et al., ICML 2017, section 4.2); parameters: T
//   vector                 s * x + b, elementwise (same source); parameters: s_1..s_C, b_1..b_C
//   classwise_temperature  x_c / T_c (Frenkel and Goldberger, EUSIPCO 2021, who choose T_c greedily
//                          by ECE); parameters: T_1..T_C
// Log-probabilities are logits. A temperature does the same to all logits of a prediction; what the
// other two do depends on which ones they get.
struct Remedy {
  std::string method;
  std::vector<double> parameters;
  // Why the split that it was fitted on cannot tell the parameters, so that they are not to be
  // used;
  // "" where it can.
  std::string withheld = {};
};

// All three, in that order, each with the least negative log-likelihood of `labels` [N] given
// log_probs [N * C], found by LBFGS in float64, T from 1.5 (as the code of Guo et al.), T_c and s
// from 1, b from 0. Equal input gives equal bits. What a split cannot tell stays bounded, and is
// withheld:
//   - T, T_c and s are in [1/20, 20], b in [-10, 10] before it is centred. A T is withheld where
//   the
//     best one is at its bound or beyond; the NLL is convex in 1 / T, so that its slope at the
//     bounds tells. The others are withheld where a parameter comes within 1 % of its bound (of the
//     bound's logarithm for T_c and s), where they predict every label of the split, since the
//     farther they went the better, where labels are of one class alone, and where a class without
//     labels would get a T that is withheld;
//   - the b of the classes that occur has mean 0, which changes no prediction of them;
//   - a class without labels has no part in the fit of T_c, s and b, and gets T_c = T, s = 1 / T,
//     b = 0;
//   - where no choice makes a difference (C = 1), parameters stay where they start; nothing is
//     withheld.
// InvalidArgument: what MeasureCalibration() refuses. ResourceExhausted, Internal: what LibTorch
// threw.
absl::StatusOr<std::vector<Remedy>> FitRemedies(absl::Span<const double> log_probs,
                                                absl::Span<const int64_t> labels,
                                                int64_t num_classes);

// [N * C] log-probabilities after the remedy.
std::vector<double> Apply(const Remedy& remedy, absl::Span<const double> log_probs,
                          int64_t num_classes);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_POST_HOC_H_
