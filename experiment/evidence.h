// What the sources of evidence are worth, in the tables of an experiment: the measures of
// metrics/evidence.h as means over the views of a model.
#ifndef CMERC_EXPERIMENT_EVIDENCE_H_
#define CMERC_EXPERIMENT_EVIDENCE_H_

#include <google/protobuf/repeated_field.h>

#include <string>
#include <utility>
#include <vector>

#include "experiment/results.pb.h"
#include "metrics/evidence_measures.h"
#include "metrics/report.pb.h"

namespace cmerc {

// What stands above the tables of the measures.
inline constexpr char kEvidenceCaption[] =
    "What the sources of evidence are worth on the test split, means over the views (the same "
    "model "
    "without one source) and over seeds. Share: percent of utterances surer of the true class "
    "without the source; floor: what it would be if the probabilities were perfectly calibrated; "
    "right, wrong: the share among utterances predicted right or wrong; by > .01: surer by more "
    "than "
    "that; VRR: percent whose largest probability rises without the source, which needs no labels; "
    "gain: what the source adds to the log-probability of the truth; and the views' own scores. "
    "VRR, right and excess should be small. Views x f: the baseline, the logits of its views "
    "scaled "
    "after training by the factor f that gives it the same share of right on the validation split; "
    "what a method gains must be seen beside it, in the views' own ECE and NLL.";

// Sets the `evidence` of a row from the test splits of its runs, of which there is at least one.
void AddEvidence(const std::vector<const SplitReport*>& splits, ExperimentRow* row);

// How a table shows a number over seeds.
struct EvidenceFormat {
  std::string (*percent)(const Statistic&);
  std::string (*plain)(const Statistic&);
  std::string none;  // where a row lacks it
};

// A line of the tables of the measures.
struct EvidenceLine {
  std::string dataset;             // as in ExperimentRow
  std::string variant;             // as tables show it
  std::vector<std::string> cells;  // one for each of EvidenceMeasures()
};

// The lines of all rows that have any measure, each with its scaled baseline, where it has one,
// below it.
std::vector<EvidenceLine> EvidenceLines(const ExperimentResults& results,
                                        const EvidenceFormat& format);

// What a row's `scaled_baseline` is, from pairs of runs with the same seed, ours and the
// baseline's; unset where a run lacks what it needs, and without pairs.
std::optional<ScaledBaseline> ScaleBaseline(
    const std::vector<std::pair<const RunSummary*, const RunSummary*>>& pairs);

// The statistic of a measure; null where a run lacks it.
const Statistic* FindEvidence(
    const google::protobuf::RepeatedPtrField<EvidenceStatistic>& statistics,
    const std::string& measure);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_EVIDENCE_H_
