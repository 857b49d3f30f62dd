// What a source of evidence is worth to a model: its predictions without it against those from all
// evidence.
//
// N utterances, C classes; p_nc the probability of class c for utterance n from all evidence, q_nc
// the one without the source, y_n the true class, and c_n the class predicted from all evidence.
//   share_surer_without     mean over n of [q_n,y_n > p_n,y_n]
//   floor                   mean over n of sum_c p_nc [q_nc > p_nc]: the expected share if the
//   truth
//                           is drawn from p_n. No labels needed. Even a perfect model has one,
//                           since where it is wrong more evidence often means less for the truth
//   excess                  share_surer_without - floor
//   share_of_right          the share among the n with c_n = y_n, the part that can be avoided ...
//   share_of_wrong          ... and among the others
//   share_beyond_tolerance  mean over n of [q_n,y_n > p_n,y_n + 0.01]
//   violating_ranking_rate  mean over n of [max_c q_nc > max_c p_nc], which needs no labels (Ma et
//                           al., Calibrating Multimodal Learning, ICML 2023: VRR)
// All but the tolerance are compared in logarithms, which also tell apart probabilities that round
// to 1.
#ifndef CMERC_METRICS_EVIDENCE_H_
#define CMERC_METRICS_EVIDENCE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "metrics/report.pb.h"

namespace cmerc {

// How the log-probability of one class per utterance changes where a source of evidence goes.
struct Rise {
  double share_surer = 0;  // of the utterances for which it rises
  double mean = 0;         // over all of them
};

// `classes` [N], in [0, num_classes), N >= 1; `full` and `view` [N * C], row-major.
Rise RiseOf(absl::Span<const int64_t> classes, absl::Span<const double> full,
            absl::Span<const double> view, int64_t num_classes);

// Fills all but `view` and `calibration`. `full` and `view` [N * C] are finite log-probabilities,
// row-major; labels [N]. InvalidArgument: no utterances, sizes that do not fit, a label outside
// [0, num_classes).
absl::StatusOr<ViewReport> MeasureEvidence(absl::Span<const double> full,
                                           absl::Span<const double> view,
                                           absl::Span<const int64_t> labels, int64_t num_classes);

}  // namespace cmerc

#endif  // CMERC_METRICS_EVIDENCE_H_
