#include "metrics/confusion.h"

#include <algorithm>

namespace cmerc {

std::vector<int64_t> PredictedCounts(const SplitReport& report) {
  std::vector<int64_t> counts(report.classes_size());
  for (const ConfusionRow& row : report.confusion()) {
    for (int c = 0; c < std::min(row.predicted_size(), report.classes_size()); ++c) {
      counts[c] += row.predicted(c);
    }
  }
  for (const ConfusionCount& one : report.sparse_confusion().counts()) {
    if (one.predicted() < 0 || one.predicted() >= report.classes_size()) continue;
    counts[one.predicted()] += one.utterances();
  }
  return counts;
}

std::vector<int64_t> CorrectCounts(const SplitReport& report) {
  std::vector<int64_t> counts(report.classes_size());
  for (int c = 0; c < std::min(report.confusion_size(), report.classes_size()); ++c) {
    if (c < report.confusion(c).predicted_size()) counts[c] = report.confusion(c).predicted(c);
  }
  for (const ConfusionCount& one : report.sparse_confusion().counts()) {
    if (one.label() != one.predicted()) continue;
    if (one.label() < 0 || one.label() >= report.classes_size()) continue;
    counts[one.label()] += one.utterances();
  }
  return counts;
}

std::vector<ConfusionCount> LargestConfusions(const SplitReport& report, size_t most) {
  std::vector<ConfusionCount> wrong;
  for (const ConfusionCount& one : report.sparse_confusion().counts()) {
    const bool known = std::min(one.label(), one.predicted()) >= 0 &&
                       std::max(one.label(), one.predicted()) < report.classes_size();
    if (known && one.label() != one.predicted()) wrong.push_back(one);
  }
  std::stable_sort(wrong.begin(), wrong.end(),
                   [](const ConfusionCount& a, const ConfusionCount& b) {
                     return a.utterances() > b.utterances();
                   });
  wrong.resize(std::min(wrong.size(), most));
  return wrong;
}

}  // namespace cmerc
