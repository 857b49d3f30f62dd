#include "metrics/evidence.h"

#include <algorithm>
#include <cmath>

#include "core/status.h"
#include "metrics/calibration.h"
#include "metrics/classification.h"

namespace cmerc {
namespace {

constexpr double kTolerance = 0.01;

// Counts over utterances that become shares of them.
struct Counts {
  double floor = 0;
  int64_t right = 0, right_surer = 0, wrong_surer = 0;
  int64_t beyond_tolerance = 0, larger = 0;
};

// Adds an utterance of class `label`, for which `predicted` is predicted from all evidence; its
// log-probabilities are `full` and `view`, [C].
void Add(absl::Span<const double> full, absl::Span<const double> view, size_t label,
         size_t predicted, Counts* counts) {
  for (size_t c = 0; c < full.size(); ++c) {
    if (view[c] > full[c]) counts->floor += std::exp(full[c]);
  }
  const bool surer = view[label] > full[label];
  const bool right = label == predicted;
  counts->right += right ? 1 : 0;
  counts->right_surer += right && surer ? 1 : 0;
  counts->wrong_surer += !right && surer ? 1 : 0;
  const double rise = std::exp(view[label]) - std::exp(full[label]);
  counts->beyond_tolerance += rise > kTolerance ? 1 : 0;
  counts->larger += *std::max_element(view.begin(), view.end()) > full[predicted] ? 1 : 0;
}

double Share(int64_t count, int64_t total) {
  return static_cast<double>(count) / static_cast<double>(total);
}

}  // namespace

Rise RiseOf(absl::Span<const int64_t> classes, absl::Span<const double> full,
            absl::Span<const double> view, int64_t num_classes) {
  Rise rise;
  for (size_t i = 0; i < classes.size(); ++i) {
    const size_t entry = i * static_cast<size_t>(num_classes) + static_cast<size_t>(classes[i]);
    const double change = view[entry] - full[entry];
    rise.share_surer += change > 0 ? 1 : 0;
    rise.mean += change;
  }
  const auto total = static_cast<double>(classes.size());
  return {rise.share_surer / total, rise.mean / total};
}

absl::StatusOr<ViewReport> MeasureEvidence(absl::Span<const double> full,
                                           absl::Span<const double> view,
                                           absl::Span<const int64_t> labels, int64_t num_classes) {
  const auto width = static_cast<size_t>(num_classes);
  if (full.size() != labels.size() * width || view.size() != full.size()) {
    return absl::InvalidArgumentError("log-probabilities are not a row for each label");
  }
  const std::vector<int64_t> predicted = PredictedClasses(full, num_classes);
  const std::vector<int64_t> of_view = PredictedClasses(view, num_classes);
  ASSIGN_OR_RETURN(const double weighted_f1, WeightedF1(labels, of_view, num_classes));
  Counts counts;
  int64_t view_right = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    Add(full.subspan(i * width, width), view.subspan(i * width, width),
        static_cast<size_t>(labels[i]), static_cast<size_t>(predicted[i]), &counts);
    view_right += of_view[i] == labels[i] ? 1 : 0;
  }

  const auto total = static_cast<int64_t>(labels.size());
  ViewReport report;
  const Rise truth = RiseOf(labels, full, view, num_classes);
  report.set_share_surer_without(truth.share_surer);
  report.set_mean_log_prob_rise(truth.mean);
  const Rise own = RiseOf(predicted, full, view, num_classes);
  report.set_share_predicted_surer_without(own.share_surer);
  report.set_mean_predicted_log_prob_rise(own.mean);
  EvidenceReport& evidence = *report.mutable_evidence();
  evidence.set_floor(counts.floor / static_cast<double>(total));
  evidence.set_excess(truth.share_surer - evidence.floor());
  if (counts.right > 0) {
    evidence.mutable_share_of_right()->set_value(Share(counts.right_surer, counts.right));
  }
  if (counts.right < total) {
    evidence.mutable_share_of_wrong()->set_value(Share(counts.wrong_surer, total - counts.right));
  }
  evidence.set_share_beyond_tolerance(Share(counts.beyond_tolerance, total));
  evidence.set_violating_ranking_rate(Share(counts.larger, total));
  evidence.set_accuracy(Share(view_right, total));
  evidence.set_weighted_f1(weighted_f1);
  return report;
}

}  // namespace cmerc
