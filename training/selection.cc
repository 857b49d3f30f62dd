#include "training/selection.h"

#include <algorithm>
#include <cmath>

namespace cmerc {
namespace {

// In hundredths of a percent, in NumPy's order of operations: round(score * 100, 2) is
// rint(score * 100 * 100) / 100.
double Rounded(double score) { return std::nearbyint(score * 100 * 100); }

}  // namespace

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
