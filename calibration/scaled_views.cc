#include "calibration/scaled_views.h"

#include <optional>

#include "calibration/post_hoc.h"
#include "core/status.h"
#include "metrics/calibration.h"
#include "metrics/evidence.h"

namespace cmerc {
namespace {

constexpr int kSteps = 20;

// A split's numbers for a factor; absent where nothing is predicted right, or nothing wrong.
absl::StatusOr<std::optional<ScaledViewsReport>> MeasureScaled(const SplitPredictions& predictions,
                                                               double factor, int64_t num_classes) {
  double share = 0, right = 0, wrong = 0, vrr = 0, ece = 0, nll = 0;
  for (const std::vector<double>& view : predictions.view_log_probs) {
    const std::vector<double> scaled =
        factor == 1 ? view : Apply({"temperature", {1 / factor}}, view, num_classes);
    ASSIGN_OR_RETURN(const ViewReport report, MeasureEvidence(predictions.log_probs, scaled,
                                                              predictions.labels, num_classes));
    ASSIGN_OR_RETURN(const CalibrationReport calibration,
                     MeasureCalibration(scaled, predictions.labels, num_classes));
    const EvidenceReport& evidence = report.evidence();
    if (!evidence.has_share_of_right() || !evidence.has_share_of_wrong()) {
      return std::optional<ScaledViewsReport>();
    }
    share += report.share_surer_without();
    right += evidence.share_of_right().value();
    wrong += evidence.share_of_wrong().value();
    vrr += evidence.violating_ranking_rate();
    ece += calibration.ece();
    nll += calibration.nll();
  }
  const auto views = static_cast<double>(predictions.view_log_probs.size());
  ScaledViewsReport result;
  result.set_factor(factor);
  result.set_share_surer_without(share / views);
  result.set_share_of_right(right / views);
  result.set_share_of_wrong(wrong / views);
  result.set_violating_ranking_rate(vrr / views);
  result.set_ece(ece / views);
  result.set_nll(nll / views);
  return std::optional<ScaledViewsReport>(result);
}

}  // namespace

absl::StatusOr<std::vector<ScaledViewsReport>> MeasureScaledViews(const SplitPredictions& all_valid,
                                                                  const SplitPredictions& all_test,
                                                                  int64_t num_classes) {
  const SplitPredictions valid = OnlyLabelled(all_valid, num_classes);
  const SplitPredictions test = OnlyLabelled(all_test, num_classes);
  std::vector<ScaledViewsReport> reports;
  for (int step = 0; step < kSteps; ++step) {
    const double factor = static_cast<double>(kSteps - step) / kSteps;
    ASSIGN_OR_RETURN(const std::optional<ScaledViewsReport> of_valid,
                     MeasureScaled(valid, factor, num_classes));
    ASSIGN_OR_RETURN(std::optional<ScaledViewsReport> of_test,
                     MeasureScaled(test, factor, num_classes));
    if (!of_valid.has_value() || !of_test.has_value()) return std::vector<ScaledViewsReport>();
    of_test->set_valid_share_of_right(of_valid->share_of_right());
    reports.push_back(*of_test);
  }
  return reports;
}

}  // namespace cmerc
