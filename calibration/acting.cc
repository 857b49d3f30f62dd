#include "calibration/acting.h"

#include <vector>

#include "calibration/post_hoc.h"

namespace cmerc {

SetReport ScoreSets(const SetMaker& maker, const SplitPredictions& all, const DatasetInfo& info) {
  const SplitPredictions predictions = OnlyLabelled(all, info.num_classes());
  return MeasureSets(maker, {predictions.log_probs, predictions.labels, predictions.lengths},
                     info.class_names);
}

RiskCoverage ScoreRiskCoverage(const SplitPredictions& all, const DatasetInfo& info,
                               std::optional<double> temperature, const SplitReport& scores,
                               std::optional<double> abstain_below) {
  const SplitPredictions predictions = OnlyLabelled(all, info.num_classes());
  std::vector<double> log_probs = predictions.log_probs;
  const CalibrationReport* calibration = &scores.calibration();
  if (temperature.has_value()) {
    log_probs = Apply({"temperature", {*temperature}}, log_probs, info.num_classes());
    for (const PostHocReport& one : scores.post_hoc()) {
      if (one.method() == "temperature") calibration = &one.calibration();
    }
  }
  const LabelledPredictions labelled{log_probs, predictions.labels, predictions.lengths};
  RiskCoverage curve = MeasureRiskCoverage(labelled, info.num_classes());
  curve.set_confidence(temperature.has_value() ? "calibrated_confidence" : "confidence");
  curve.set_aurc(calibration->aurc());
  curve.set_e_aurc(calibration->e_aurc());
  if (abstain_below.has_value()) {
    *curve.mutable_asked() = MeasureAbstaining(labelled, info.num_classes(), *abstain_below);
  }
  return curve;
}

}  // namespace cmerc
