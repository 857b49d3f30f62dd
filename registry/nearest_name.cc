#include "registry/nearest_name.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/ascii.h"

namespace cmerc {
namespace {

// Levenshtein distance, letter case ignored.
size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = absl::ascii_tolower(a[i - 1]) == absl::ascii_tolower(b[j - 1]);
      const size_t substitute = diagonal + (same ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

}  // namespace

std::string NearestName(absl::string_view name, const std::vector<std::string>& candidates) {
  size_t allowed = name.size() <= 3 ? 1 : std::max<size_t>(2, name.size() / 3);
  std::string nearest;
  for (const std::string& candidate : candidates) {
    // The distance is at least that of the lengths: a hostile name of megabytes costs nothing.
    if (std::max(name.size(), candidate.size()) - std::min(name.size(), candidate.size()) >
        allowed) {
      continue;
    }
    const size_t distance = EditDistance(name, candidate);
    if (distance > allowed || (distance == allowed && !nearest.empty())) continue;
    allowed = distance;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace cmerc
