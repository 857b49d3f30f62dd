// Scores of what users can act on: prediction sets, and declining to answer.
#ifndef CMERC_CALIBRATION_ACTING_H_
#define CMERC_CALIBRATION_ACTING_H_

#include <optional>

#include "calibration/evaluation.h"
#include "core/dataset.h"
#include "metrics/conformal.h"
#include "metrics/report.pb.h"

namespace cmerc {

// The sets that `maker` makes of the predictions of labelled utterances.
SetReport ScoreSets(const SetMaker& maker, const SplitPredictions& predictions,
                    const DatasetInfo& info);

// Of labelled utterances, what is answered at each threshold of the largest probability, after
// temperature scaling where there is a temperature. `scores` are those of the same predictions;
// AURC is theirs, or that of their remedy "temperature". With `abstain_below` also what is answered
// at that threshold.
RiskCoverage ScoreRiskCoverage(const SplitPredictions& predictions, const DatasetInfo& info,
                               std::optional<double> temperature, const SplitReport& scores,
                               std::optional<double> abstain_below = {});

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_ACTING_H_
