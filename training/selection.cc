#include "training/selection.h"

#include <algorithm>
#include <cmath>

namespace cmerc {
namespace {

// In hundredths of a percent, in NumPy's order of operations: round(score * 100, 2) is
// rint(score * 100 * 100) / 100.
double Rounded(double score) { return std::nearbyint(score * 100 * 100); }

}  // namespace

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

bool IsBetter(double score, double best, bool rounded) {
  return rounded ? Rounded(score) > Rounded(best) : score > best;
}

int FirstEpochOfAll(const Curriculum& curriculum, size_t conversations, int epochs) {
  for (int epoch = 0; epoch < epochs; ++epoch) {
    if (curriculum.Conversations(epoch).size() == conversations) return epoch + 1;
  }
  return epochs + 1;
}

int EpochsWaited(int epochs, int selected_epoch, int first_of_all) {
  return std::max(0, epochs - std::max(selected_epoch, first_of_all - 1));
}

}  // namespace cmerc
