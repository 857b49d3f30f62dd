#include "training/selection.h"

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

}  // namespace cmerc
