#include "experiment/evidence.h"

#include <algorithm>
#include <map>

#include "experiment/labels.h"
#include "experiment/statistics.h"

namespace cmerc {
namespace {

EvidenceLine LineOf(const ExperimentRow& row, const std::string& variant,
                    const google::protobuf::RepeatedPtrField<EvidenceStatistic>& evidence,
                    const EvidenceFormat& format) {
  EvidenceLine line{row.dataset(), variant, {}};
  for (const EvidenceMeasure& measure : EvidenceMeasures()) {
    const Statistic* one = FindEvidence(evidence, measure.name);
    line.cells.push_back(one == nullptr    ? format.none
                         : measure.percent ? format.percent(*one)
                                           : format.plain(*one));
  }
  return line;
}

}  // namespace

void AddEvidence(const std::vector<const SplitReport*>& splits, ExperimentRow* row) {
  for (const EvidenceMeasure& measure : EvidenceMeasures()) {
    std::vector<double> values;
    for (const SplitReport* split : splits) {
      const std::optional<double> value = MeanOverViews(*split, measure);
      if (value.has_value()) values.push_back(*value);
    }
    if (values.size() < splits.size()) continue;
    EvidenceStatistic* added = row->add_evidence();
    added->set_measure(measure.name);
    *added->mutable_statistic() = Describe(values);
  }
}

std::vector<EvidenceLine> EvidenceLines(const ExperimentResults& results,
                                        const EvidenceFormat& format) {
  std::vector<EvidenceLine> lines;
  for (const ExperimentRow& row : results.rows()) {
    if (row.evidence_size() == 0) continue;
    lines.push_back(LineOf(row, ShownVariant(row.variant()), row.evidence(), format));
    if (!row.has_scaled_baseline()) continue;
    lines.push_back(LineOf(row, ScaledBaselineName(row), row.scaled_baseline().evidence(), format));
  }
  return lines;
}

std::optional<ScaledBaseline> ScaleBaseline(
    const std::vector<std::pair<const RunSummary*, const RunSummary*>>& pairs) {
  std::vector<double> factors;
  std::map<std::string, std::vector<double>> measures;
  for (const auto& [ours, theirs] : pairs) {
    if (ours->scaled_views_size() == 0 || theirs->scaled_views_size() == 0) return std::nullopt;
    const double share = ours->scaled_views(0).valid_share_of_right();
    const auto found = std::find_if(
        theirs->scaled_views().begin(), theirs->scaled_views().end(),
        [&](const ScaledViewsReport& one) { return one.valid_share_of_right() <= share; });
    const ScaledViewsReport& chosen =
        found == theirs->scaled_views().end() ? *theirs->scaled_views().rbegin() : *found;
    factors.push_back(chosen.factor());
    measures["mean_share_surer_without"].push_back(chosen.share_surer_without());
    measures["share_of_right"].push_back(chosen.share_of_right());
    measures["share_of_wrong"].push_back(chosen.share_of_wrong());
    measures["violating_ranking_rate"].push_back(chosen.violating_ranking_rate());
    measures["ece_of_views"].push_back(chosen.ece());
    measures["nll_of_views"].push_back(chosen.nll());
  }
  if (pairs.empty()) return std::nullopt;
  ScaledBaseline result;
  *result.mutable_factor() = Describe(factors);
  for (const auto& [measure, values] : measures) {
    EvidenceStatistic* added = result.add_evidence();
    added->set_measure(measure);
    *added->mutable_statistic() = Describe(values);
  }
  return result;
}

const Statistic* FindEvidence(
    const google::protobuf::RepeatedPtrField<EvidenceStatistic>& statistics,
    const std::string& measure) {
  for (const EvidenceStatistic& one : statistics) {
    if (one.measure() == measure) return &one.statistic();
  }
  return nullptr;
}

}  // namespace cmerc
