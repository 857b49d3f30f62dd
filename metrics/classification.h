// Scores of predicted emotions, by scikit-learn's definitions with zero_division = 0: a precision,
// recall or F1 whose denominator is 0 counts as 0.
#ifndef CMERC_METRICS_CLASSIFICATION_H_
#define CMERC_METRICS_CLASSIFICATION_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "metrics/report.pb.h"

namespace cmerc {

// Fills utterances, accuracy, weighted_f1, macro_f1, micro_f1, classes and confusion; the rest
// stays unset. `classes` and `confusion` have one entry per class name; of more classes than
// kMostClassesOfMatrix, sparse_confusion is filled instead of `confusion`. As in
// sklearn.metrics.f1_score, weighted_f1 weighs every class by its support, macro_f1 is the mean
// over the classes that occur among the labels or the predictions, and micro_f1 counts the
// decisions of all classes together. InvalidArgument: no utterances, unequal lengths, a label or
// prediction outside [0, class_names.size()).
absl::StatusOr<SplitReport> ClassificationReport(absl::Span<const int64_t> labels,
                                                 absl::Span<const int64_t> predictions,
                                                 absl::Span<const std::string> class_names);

// The weighted F1 alone, in [0, 1]. Errors are those of ClassificationReport().
absl::StatusOr<double> WeightedF1(absl::Span<const int64_t> labels,
                                  absl::Span<const int64_t> predictions, int64_t num_classes);

// F1 of the report over the classes that are not `unscored`, in the order of the dataset; what it
// means is said there. Every one of `unscored` is a class of `report`, and not all of them are.
F1Without F1WithoutClasses(const SplitReport& report, absl::Span<const std::string> unscored);

}  // namespace cmerc

#endif  // CMERC_METRICS_CLASSIFICATION_H_
