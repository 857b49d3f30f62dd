#include "datasets/assembly/names.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/numbers.h"

namespace cmerc {

std::vector<std::string> SortedNames(const std::set<std::string>& names) {
  std::vector<std::string> sorted(names.begin(), names.end());
  int64_t ignored;
  if (std::all_of(sorted.begin(), sorted.end(),
                  [&](const std::string& name) { return absl::SimpleAtoi(name, &ignored); })) {
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
      int64_t left = 0;
      int64_t right = 0;
      return absl::SimpleAtoi(a, &left) && absl::SimpleAtoi(b, &right) && left < right;
    });
  }
  return sorted;
}

}  // namespace cmerc
