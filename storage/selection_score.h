// The score by which a run selects its epoch, and by which a search compares runs.
#ifndef CMERC_STORAGE_SELECTION_SCORE_H_
#define CMERC_STORAGE_SELECTION_SCORE_H_

#include <string>

#include "config/run.pb.h"
#include "metrics/report.pb.h"

namespace cmerc {

// What `by` says of a split, the higher, the better: a score in [0, 1], or the NLL times -1.
double SelectionScore(const SplitReport& split, TrainingConfig::SelectBy by);

// "weighted F1", "macro F1", "NLL" or "accuracy".
std::string SelectionName(TrainingConfig::SelectBy by);

}  // namespace cmerc

#endif  // CMERC_STORAGE_SELECTION_SCORE_H_
