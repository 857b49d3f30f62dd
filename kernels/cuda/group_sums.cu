// A strip of similarities at a time, [strip, N] in the workspace: forward a warp adds up each of
// its rows, backward it is turned into the gradients of the cosines and multiplied with the rows of
// all.
#include <algorithm>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/tiles.cuh"
#include "kernels/group_sums.h"

namespace cmerc::kernels {
namespace {

// Utterances [begin, end) against all.
struct Strip {
  int64_t begin, end;

  __host__ __device__ int64_t size() const { return end - begin; }
};

// From anchor i, the gradient of its cosine with j.
__device__ float PairGradient(const GroupSums& arguments, int64_t i, int64_t j, float similarity) {
  const int64_t at = i * arguments.num_groups + arguments.groups[j];
  const float exponential = expf(similarity - arguments.log_sums[at]);
  return arguments.d_log_sums[at] * exponential / arguments.temperature;
}

// out [strip, N]: similarities, or with kBackward the gradients of the cosines, from both anchors.
template <bool kBackward>
__global__ void __launch_bounds__(kThreads)
    Similarities(GroupSums arguments, Strip strip, float* out) {
  const int64_t tiles = CeilDiv(arguments.num, kTileRows);
  const int64_t row = strip.begin + blockIdx.x / tiles * kTileRows;
  const int64_t column = blockIdx.x % tiles * kTileRows;
  const auto left = [&](int r) {
    return row + r < strip.end ? arguments.unit + (row + r) * arguments.width : nullptr;
  };
  const auto right = [&](int r) {
    return column + r < arguments.num ? arguments.unit + (column + r) * arguments.width : nullptr;
  };
  Products products = {};
  DotProducts(left, right, arguments.width, products);
#pragma unroll
  for (int p = 0; p < kPairs; ++p) {
#pragma unroll
    for (int q = 0; q < kPairs; ++q) {
      const int64_t i = row + FirstLeft() + p, j = column + FirstRight() + q;
      if (i >= strip.end || j >= arguments.num) continue;
      float value = products[p][q] / arguments.temperature;
      if (kBackward) {
        value = i == j
                    ? 0
                    : PairGradient(arguments, i, j, value) + PairGradient(arguments, j, i, value);
      }
      out[(i - strip.begin) * arguments.num + j] = value;
    }
  }
}

// log_sums of a strip, a warp for each row.
__global__ void __launch_bounds__(kThreads)
    SumRows(GroupSums arguments, Strip strip, const float* similarities) {
  const int64_t warp = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t i = strip.begin + warp;
  if (i >= strip.end) return;
  const float* const row = similarities + warp * arguments.num;
  for (int g = 0; g < arguments.num_groups; ++g) {
    float largest = kEmptyGroup;
    for (int64_t j = lane; j < arguments.num; j += kWarp) {
      if (j != i && arguments.groups[j] == g) largest = fmaxf(largest, row[j]);
    }
    largest = WarpMax(largest);
    float sum = 0;
    for (int64_t j = lane; j < arguments.num; j += kWarp) {
      if (j != i && arguments.groups[j] == g) sum += expf(row[j] - largest);
    }
    sum = WarpSum(sum);
    // NaN is not 0.
    if (lane == 0) {
      arguments.log_sums[i * arguments.num_groups + g] = sum != 0 ? largest + logf(sum) : largest;
    }
  }
}

// d_unit of a strip: gradients [strip, N] times unit.
__global__ void __launch_bounds__(kThreads)
    WeightedSums(GroupSums arguments, Strip strip, const float* gradients) {
  alignas(16) __shared__ Weights weights;
  alignas(16) __shared__ Terms terms;
  const int64_t columns = CeilDiv(arguments.width, kTileColumns);
  const int64_t row = blockIdx.x / columns * kTileRows;  // of the strip
  const int64_t column = blockIdx.x % columns * kTileColumns;
  Sums sums = {};
  for (int64_t term = 0; term < arguments.num; term += kTerms) {
    for (int at = static_cast<int>(threadIdx.x); at < kTerms * kTileRows; at += kThreads) {
      const int r = at / kTerms, t = at % kTerms;
      const bool inside = row + r < strip.size() && term + t < arguments.num;
      weights[t][r] = inside ? gradients[(row + r) * arguments.num + term + t] : 0;
    }
    const auto row_of = [&](int t) {
      return term + t < arguments.num ? arguments.unit + (term + t) * arguments.width : nullptr;
    };
    LoadTerms(row_of, column, arguments.width, terms);
    __syncthreads();
    AddWeighted(weights, terms, sums);
    __syncthreads();
  }
  ForEachSum(sums, column, arguments.width, [&](int r, int64_t h, float sum) {
    if (row + r >= strip.size()) return;
    arguments.d_unit[(strip.begin + row + r) * arguments.width + h] = sum;
  });
}

// Calls launch(strip) for all strips while it succeeds.
template <typename Launch>
absl::Status ForEachStrip(int64_t num, const Launch& launch) {
  for (int64_t begin = 0; begin < num; begin += kGroupSumsStrip) {
    const absl::Status status = launch(Strip{begin, std::min(begin + kGroupSumsStrip, num)});
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

template <bool kBackward>
absl::Status LaunchSimilarities(const GroupSums& arguments, const Strip& strip, CudaStream stream) {
  return Start("similarities", Similarities<kBackward>,
               CeilDiv(strip.size(), kTileRows) * CeilDiv(arguments.num, kTileRows), kThreads,
               stream, arguments, strip, arguments.workspace);
}

}  // namespace

absl::Status LaunchGroupSums(const GroupSums& arguments, CudaStream stream) {
  return ForEachStrip(arguments.num, [&](const Strip& strip) {
    const absl::Status status = LaunchSimilarities<false>(arguments, strip, stream);
    if (!status.ok()) return status;
    return Start("the sums of groups", SumRows, CeilDiv(strip.size(), kThreads / kWarp), kThreads,
                 stream, arguments, strip, arguments.workspace);
  });
}

absl::Status LaunchGroupSumsBackward(const GroupSums& arguments, CudaStream stream) {
  return ForEachStrip(arguments.num, [&](const Strip& strip) {
    const absl::Status status = LaunchSimilarities<true>(arguments, strip, stream);
    if (!status.ok()) return status;
    return Start("the gradient of the sums of groups", WeightedSums,
                 CeilDiv(strip.size(), kTileRows) * CeilDiv(arguments.width, kTileColumns),
                 kThreads, stream, arguments, strip, arguments.workspace);
  });
}

}  // namespace cmerc::kernels
