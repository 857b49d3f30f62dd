#include "metrics/evidence_measures.h"

#include <algorithm>

namespace cmerc {
namespace {

using Value = std::optional<double>;

// A number of the EvidenceReport of a view.
template <double (EvidenceReport::*number)() const>
Value OfEvidence(const ViewReport& view) {
  return view.has_evidence() ? Value((view.evidence().*number)()) : std::nullopt;
}

Value OfRight(const ViewReport& view) {
  return view.evidence().has_share_of_right() ? Value(view.evidence().share_of_right().value())
                                              : std::nullopt;
}

Value OfWrong(const ViewReport& view) {
  return view.evidence().has_share_of_wrong() ? Value(view.evidence().share_of_wrong().value())
                                              : std::nullopt;
}

Value Share(const ViewReport& view) { return view.share_surer_without(); }

Value Gain(const ViewReport& view) { return -view.mean_log_prob_rise(); }

Value EceOfView(const ViewReport& view) {
  return view.has_calibration() ? Value(view.calibration().ece()) : std::nullopt;
}

Value NllOfView(const ViewReport& view) {
  return view.has_calibration() ? Value(view.calibration().nll()) : std::nullopt;
}

}  // namespace

const std::vector<EvidenceMeasure>& EvidenceMeasures() {
  static const auto* const measures = new std::vector<EvidenceMeasure>{
      {"mean_share_surer_without", "share", true, Share},
      {"floor", "floor", true, OfEvidence<&EvidenceReport::floor>},
      {"excess", "excess", true, OfEvidence<&EvidenceReport::excess>},
      {"share_of_right", "right", true, OfRight},
      {"share_of_wrong", "wrong", true, OfWrong},
      {"share_beyond_tolerance", "by > .01", true,
       OfEvidence<&EvidenceReport::share_beyond_tolerance>},
      {"violating_ranking_rate", "VRR", true, OfEvidence<&EvidenceReport::violating_ranking_rate>},
      {"mean_log_prob_gain", "gain", false, Gain},
      {"weighted_f1_of_views", "views' F1", true, OfEvidence<&EvidenceReport::weighted_f1>},
      {"ece_of_views", "views' ECE", true, EceOfView},
      {"nll_of_views", "views' NLL", false, NllOfView}};
  return *measures;
}

std::optional<double> MeanOverViews(const SplitReport& split, const EvidenceMeasure& measure) {
  if (split.views_size() == 0) return std::nullopt;
  double sum = 0;
  for (const ViewReport& view : split.views()) {
    const std::optional<double> value = measure.of_view(view);
    if (!value.has_value()) return std::nullopt;
    sum += *value;
  }
  return sum / split.views_size();
}

std::optional<double> MeanOverViews(const SplitReport& split, const std::string& name) {
  const std::vector<EvidenceMeasure>& measures = EvidenceMeasures();
  return MeanOverViews(split,
                       *std::find_if(measures.begin(), measures.end(),
                                     [&](const EvidenceMeasure& one) { return one.name == name; }));
}

}  // namespace cmerc
