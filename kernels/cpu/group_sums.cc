#include "kernels/group_sums.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/row_kernels.h"

namespace cmerc::kernels {
namespace {

// log_sums[i, :] from the similarities of utterance i, [N], which become exponentials.
void SumRow(const GroupSums& arguments, int64_t i, float* similarities) {
  const int64_t num = arguments.num, num_groups = arguments.num_groups;
  const int32_t* const groups = arguments.groups;
  float* const log_sums = arguments.log_sums + i * num_groups;
  // First the largest of every group, then the sum relative to it.
  std::fill_n(log_sums, num_groups, kEmptyGroup);
  for (int64_t j = 0; j < num; ++j) {
    if (j != i) log_sums[groups[j]] = std::max(log_sums[groups[j]], similarities[j]);
  }
  for (int64_t j = 0; j < num; ++j) {
    similarities[j] = j == i ? 0 : std::exp(similarities[j] - log_sums[groups[j]]);
  }
  std::vector<double> sums(num_groups);
  for (int64_t j = 0; j < num; ++j) sums[groups[j]] += similarities[j];
  for (int64_t g = 0; g < num_groups; ++g) {
    // NaN is not 0.
    if (sums[g] != 0) log_sums[g] += static_cast<float>(std::log(sums[g]));
  }
}

// The gradient of u_i . u_j, from anchor i alone.
float PairGradient(const GroupSums& arguments, int64_t i, int64_t j, float similarity) {
  const int64_t at = i * arguments.num_groups + arguments.groups[j];
  const float log_sum = arguments.log_sums[at];
  return arguments.d_log_sums[at] * std::exp(similarity - log_sum) / arguments.temperature;
}

}  // namespace

int64_t GroupSumsWorkspace(int64_t num) { return std::min(num, kGroupSumsStrip) * num; }

void RunGroupSums(const GroupSums& arguments) {
  const int64_t num = arguments.num, width = arguments.width;
  float* const similarities = arguments.workspace;  // [N]
  for (int64_t i = 0; i < num; ++i) {
    for (int64_t j = 0; j < num; ++j) {
      similarities[j] = DotOfRows(arguments.unit + i * width, arguments.unit + j * width, width) /
                        arguments.temperature;
    }
    SumRow(arguments, i, similarities);
  }
}

void RunGroupSumsBackward(const GroupSums& arguments) {
  const int64_t num = arguments.num, width = arguments.width;
  for (int64_t i = 0; i < num; ++i) {
    const float* const unit = arguments.unit + i * width;
    float* const d_unit = arguments.d_unit + i * width;
    std::fill_n(d_unit, width, 0.0F);
    for (int64_t j = 0; j < num; ++j) {
      if (j == i) continue;
      const float* const other = arguments.unit + j * width;
      const float similarity = DotOfRows(unit, other, width) / arguments.temperature;
      const float d_cosine =
          PairGradient(arguments, i, j, similarity) + PairGradient(arguments, j, i, similarity);
      AddRow(d_cosine, other, d_unit, width);
    }
  }
}

}  // namespace cmerc::kernels
