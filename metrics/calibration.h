// How far a model's confidences can be trusted. Tools differ in these definitions; docs/metrics.md
// says how.
//
// N utterances, C classes; p_nc the predicted probability of class c for utterance n, y_n its true
// class. The prediction is the first class among the most probable, the confidence its p.
//
// Bins of equal width: 15, (k/15, (k+1)/15], 0 in the first; as Guo et al. (On Calibration of
// Modern Neural Networks, ICML 2017, eq. 2 and 3) and their reference code. n_b, acc_b and conf_b
// are the utterances of bin b, the share of them that is predicted right, and their mean
// confidence.
//   ece            sum_b n_b / N |acc_b - conf_b| (Naeini et al., AAAI 2015)
//   mce            max_b |acc_b - conf_b| over the bins that hold anything (the same)
//   classwise_ece  mean over c of sum_b n_b / N |share_b - mean_b|, where bins hold the p_nc of one
//                  class c, share_b is the share of y_n = c in it and mean_b the mean of p_nc (Kull
//                  et al., NeurIPS 2019; static calibration error in Nixon et al., 2019)
// Bins of equal counts: utterances by rising confidence, bin k has the ranks [floor(kN/15),
// floor((k+1)N/15)), so that sizes differ by 1 at most and some are empty where N < 15.
//   adaptive_ece   ece with these bins (Nguyen and O'Connor, EMNLP 2015)
// Scores without bins:
//   brier          mean over n of sum_c (p_nc - [y_n = c])^2, in [0, 2] (Brier, 1950)
//   nll            mean over n of -log p_n,y_n
//   aurc           mean over k = 1..N of the error rate among the k most confident (Geifman et
//                  al., ICLR 2019; the sum that CRL takes, Moon et al., ICML 2020)
//   e_aurc         aurc - (r + (1 - r) ln(1 - r)), r the error rate: what a perfect order of
//                  confidences would leave as N grows; 0 for r = 0 or 1, never below 0
// Equally confident utterances have no order: in adaptive_ece and aurc each counts as right to the
// share that is right among them, so that the order of the split does not matter. For aurc that is
// the mean over all orders.
#ifndef CMERC_METRICS_CALIBRATION_H_
#define CMERC_METRICS_CALIBRATION_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "metrics/report.pb.h"

namespace cmerc {

// Fills every field, but ece_floor and ece_error only where `lengths` says how many utterances each
// conversation has, in order. log_probs [N * C], row-major, natural logarithm; labels [N].
// InvalidArgument: no utterances, num_classes < 1, sizes that do not fit, a label outside
// [0, num_classes), a log-probability that is not finite, a row whose probabilities do not sum to 1
// within 1e-3.
absl::StatusOr<CalibrationReport> MeasureCalibration(absl::Span<const double> log_probs,
                                                     absl::Span<const int64_t> labels,
                                                     int64_t num_classes,
                                                     absl::Span<const int64_t> lengths = {});

// The number of bins of equal width, and the one, 0 to kReliabilityBins - 1, of a probability `p`.
inline constexpr int kReliabilityBins = 15;
int ReliabilityBinOf(double p);

// The predicted classes, [N]: the first class among the most probable of each row.
std::vector<int64_t> PredictedClasses(absl::Span<const double> log_probs, int64_t num_classes);

}  // namespace cmerc

#endif  // CMERC_METRICS_CALIBRATION_H_
