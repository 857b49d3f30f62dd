#include "metrics/classification.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "metrics/confusion.h"

namespace cmerc {
namespace {

struct Counts {
  int64_t num_classes = 0;         // C
  std::vector<int64_t> correct;    // [C]
  std::vector<int64_t> support;    // [C], how often each is true
  std::vector<int64_t> predicted;  // [C]
};

double Ratio(int64_t numerator, int64_t denominator) {
  return denominator == 0 ? 0.0 : static_cast<double>(numerator) / static_cast<double>(denominator);
}

// 2 TP / (2 TP + FP + FN), scikit-learn's form since 1.3: no rounding on the way through P and R.
double F1(const Counts& counts, int64_t c) {
  return Ratio(2 * counts.correct[c], counts.support[c] + counts.predicted[c]);
}

absl::StatusOr<Counts> Count(absl::Span<const int64_t> labels,
                             absl::Span<const int64_t> predictions, int64_t num_classes) {
  if (labels.size() != predictions.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("classification report: ", labels.size(), " labels but ", predictions.size(),
                     " predictions, want one prediction per utterance"));
  }
  if (labels.empty()) {
    return absl::InvalidArgumentError(
        "classification report: 0 utterances, want at least 1; check that the split is not empty");
  }
  if (labels.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    return absl::InvalidArgumentError(absl::StrCat("classification report: ", labels.size(),
                                                   " utterances, want at most ",
                                                   std::numeric_limits<int32_t>::max()));
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    for (bool is_label : {true, false}) {
      const int64_t value = is_label ? labels[i] : predictions[i];
      if (value < 0 || value >= num_classes) {
        return absl::InvalidArgumentError(absl::StrCat(
            "classification report: ", is_label ? "labels[" : "predictions[", i, "] = ", value,
            ", want 0 <= class < ", num_classes, " (the number of classes)"));
      }
    }
  }
  Counts counts;
  counts.num_classes = num_classes;
  counts.correct.resize(num_classes);
  counts.support.resize(num_classes);
  counts.predicted.resize(num_classes);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == predictions[i]) ++counts.correct[labels[i]];
    ++counts.support[labels[i]];
    ++counts.predicted[predictions[i]];
  }
  return counts;
}

double WeightedF1(const Counts& counts) {
  double sum = 0;
  int64_t utterances = 0;
  for (int64_t c = 0; c < counts.num_classes; ++c) {
    sum += F1(counts, c) * static_cast<double>(counts.support[c]);
    utterances += counts.support[c];
  }
  return sum / static_cast<double>(utterances);
}

double MacroF1(const Counts& counts) {
  double sum = 0;
  int64_t occurring = 0;
  for (int64_t c = 0; c < counts.num_classes; ++c) {
    if (counts.support[c] + counts.predicted[c] == 0) continue;
    sum += F1(counts, c);
    ++occurring;
  }
  return sum / static_cast<double>(occurring);
}

void AddMatrix(absl::Span<const int64_t> labels, absl::Span<const int64_t> predictions,
               int64_t num_classes, SplitReport& report) {
  for (int64_t c = 0; c < num_classes; ++c) {
    report.add_confusion()->mutable_predicted()->Resize(static_cast<int>(num_classes), 0);
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    ConfusionRow* row = report.mutable_confusion(static_cast<int>(labels[i]));
    const int p = static_cast<int>(predictions[i]);
    row->set_predicted(p, row->predicted(p) + 1);
  }
}

void AddSparseConfusion(absl::Span<const int64_t> labels, absl::Span<const int64_t> predictions,
                        SplitReport& report) {
  std::map<std::pair<int64_t, int64_t>, int32_t> counts;
  for (size_t i = 0; i < labels.size(); ++i) ++counts[{labels[i], predictions[i]}];
  for (const auto& [classes, utterances] : counts) {
    ConfusionCount* one = report.mutable_sparse_confusion()->add_counts();
    one->set_label(static_cast<int32_t>(classes.first));
    one->set_predicted(static_cast<int32_t>(classes.second));
    one->set_utterances(utterances);
  }
}

// Every wrong prediction is a false positive of one class and a false negative of another.
double MicroF1(int64_t correct, int64_t utterances) {
  return Ratio(2 * correct, 2 * correct + 2 * (utterances - correct));
}

}  // namespace

absl::StatusOr<SplitReport> ClassificationReport(absl::Span<const int64_t> labels,
                                                 absl::Span<const int64_t> predictions,
                                                 absl::Span<const std::string> class_names) {
  const int64_t num_classes = static_cast<int64_t>(class_names.size());
  ASSIGN_OR_RETURN(Counts counts, Count(labels, predictions, num_classes));

  SplitReport report;
  int64_t correct = 0;
  for (int64_t c = 0; c < num_classes; ++c) {
    correct += counts.correct[c];
    ClassReport* class_report = report.add_classes();
    class_report->set_name(class_names[c]);
    class_report->set_precision(Ratio(counts.correct[c], counts.predicted[c]));
    class_report->set_recall(Ratio(counts.correct[c], counts.support[c]));
    class_report->set_f1(F1(counts, c));
    class_report->set_support(static_cast<int32_t>(counts.support[c]));
  }
  if (num_classes <= kMostClassesOfMatrix) {
    AddMatrix(labels, predictions, num_classes, report);
  } else {
    AddSparseConfusion(labels, predictions, report);
  }
  report.set_utterances(static_cast<int32_t>(labels.size()));
  report.set_accuracy(Ratio(correct, static_cast<int64_t>(labels.size())));
  report.set_weighted_f1(WeightedF1(counts));
  report.set_macro_f1(MacroF1(counts));
  report.set_micro_f1(MicroF1(correct, static_cast<int64_t>(labels.size())));
  return report;
}

F1Without F1WithoutClasses(const SplitReport& report, absl::Span<const std::string> unscored) {
  const std::vector<int64_t> correct = CorrectCounts(report);
  const std::vector<int64_t> predicted = PredictedCounts(report);
  F1Without result;
  int64_t all_correct = 0, all_predicted = 0, support = 0, classes = 0;
  double sum = 0, weighted = 0;
  for (int c = 0; c < report.classes_size(); ++c) {
    const ClassReport& one = report.classes(c);
    if (std::find(unscored.begin(), unscored.end(), one.name()) != unscored.end()) {
      result.add_classes(one.name());
      continue;
    }
    const double f1 = Ratio(2 * correct[c], one.support() + predicted[c]);
    ++classes;
    sum += f1;
    weighted += f1 * one.support();
    all_correct += correct[c];
    all_predicted += predicted[c];
    support += one.support();
  }
  result.set_micro_f1(Ratio(2 * all_correct, support + all_predicted));
  result.set_macro_f1(sum / static_cast<double>(classes));
  result.set_weighted_f1(support == 0 ? 0 : weighted / static_cast<double>(support));
  return result;
}

absl::StatusOr<double> WeightedF1(absl::Span<const int64_t> labels,
                                  absl::Span<const int64_t> predictions, int64_t num_classes) {
  ASSIGN_OR_RETURN(Counts counts, Count(labels, predictions, num_classes));
  return WeightedF1(counts);
}

}  // namespace cmerc
