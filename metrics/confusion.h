// Which classes are taken for which, from a report, whether it holds the whole matrix or, of many
// classes, the pairs that occur.
#ifndef CMERC_METRICS_CONFUSION_H_
#define CMERC_METRICS_CONFUSION_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "metrics/report.pb.h"

namespace cmerc {

// Of more classes, SplitReport has sparse_confusion and not the matrix, and texts name this many.
constexpr int64_t kMostClassesOfMatrix = 100;

// How often each class was predicted, [C]. What lies outside the classes of the report is ignored.
std::vector<int64_t> PredictedCounts(const SplitReport& report);

// How often each class was predicted rightly, [C].
std::vector<int64_t> CorrectCounts(const SplitReport& report);

// The pairs of different classes that occur in sparse_confusion, those with most utterances first,
// and among these in the order of their classes; at most `most`.
std::vector<ConfusionCount> LargestConfusions(const SplitReport& report, size_t most);

}  // namespace cmerc

#endif  // CMERC_METRICS_CONFUSION_H_
