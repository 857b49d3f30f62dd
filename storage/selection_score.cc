#include "storage/selection_score.h"

namespace cmerc {

double SelectionScore(const SplitReport& split, TrainingConfig::SelectBy by) {
  switch (by) {
    case TrainingConfig::WEIGHTED_F1:
      return split.weighted_f1();
    case TrainingConfig::MACRO_F1:
      return split.macro_f1();
    case TrainingConfig::NLL:
      return -split.calibration().nll();
    case TrainingConfig::ACCURACY:
      return split.accuracy();
  }
  return split.weighted_f1();
}

std::string SelectionName(TrainingConfig::SelectBy by) {
  switch (by) {
    case TrainingConfig::WEIGHTED_F1:
      return "weighted F1";
    case TrainingConfig::MACRO_F1:
      return "macro F1";
    case TrainingConfig::NLL:
      return "NLL";
    case TrainingConfig::ACCURACY:
      return "accuracy";
  }
  return "weighted F1";
}

}  // namespace cmerc
