// Matrix products of a block of kThreads threads, a tile at a time, for matrices of which one is
// made on the way. float32 without tensor cores, whose inputs would be rounded to 10 bits.
#ifndef CMERC_KERNELS_TILES_CUH_
#define CMERC_KERNELS_TILES_CUH_

#include <cstdint>

#include "kernels/cuda/launch.cuh"

namespace cmerc::kernels {

constexpr int kThreads = 256;
constexpr int kTileRows = 64;

// Every row of a tile in shared memory begins on a multiple of 16 bytes, for reads of 4 numbers.
constexpr int kPaddedRows = kTileRows + 4;

// --- Weighted sums of rows: kTileRows sums of kTileColumns numbers, kTerms terms at a time ---

constexpr int kTerms = 16;
constexpr int kTileColumns = 128;
// Each warp has some sums, and each lane some columns of them, kWarp apart.
constexpr int kRowsPerWarp = kTileRows / (kThreads / kWarp);
constexpr int kColumnsPerLane = kTileColumns / kWarp;

using Weights = float[kTerms][kPaddedRows];
using Terms = float[kTerms][kTileColumns];
using Sums = float[kRowsPerWarp][kColumnsPerLane];

// row(t): the row of term t, of `width` numbers; null where there is none.
template <typename Row>
__device__ void LoadTerms(const Row& row, int64_t column, int64_t width, Terms& terms) {
  for (int at = static_cast<int>(threadIdx.x); at < kTerms * kTileColumns; at += kThreads) {
    const int t = at / kTileColumns, c = at % kTileColumns;
    const float* const numbers = row(t);
    const bool inside = numbers != nullptr && column + c < width;
    terms[t][c] = inside ? numbers[column + c] : 0;
  }
}

// For the whole block, weights and terms complete.
__device__ inline void AddWeighted(const Weights& weights, const Terms& terms, Sums& sums) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int first = static_cast<int>(threadIdx.x) / kWarp * kRowsPerWarp;
#pragma unroll
  for (int t = 0; t < kTerms; ++t) {
    float of_lane[kColumnsPerLane];
#pragma unroll
    for (int c = 0; c < kColumnsPerLane; ++c) of_lane[c] = terms[t][c * kWarp + lane];
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
      const float weight = weights[t][first + r];
#pragma unroll
      for (int c = 0; c < kColumnsPerLane; ++c) sums[r][c] += weight * of_lane[c];
    }
  }
}

// Calls f(r, column, sum) for every sum of this thread: r of the tile, column of a row.
template <typename F>
__device__ void ForEachSum(const Sums& sums, int64_t column, int64_t width, const F& f) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int first = static_cast<int>(threadIdx.x) / kWarp * kRowsPerWarp;
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) {
#pragma unroll
    for (int c = 0; c < kColumnsPerLane; ++c) {
      const int64_t at = column + c * kWarp + lane;
      if (at < width) f(first + r, at, sums[r][c]);
    }
  }
}

// --- Dot products of kTileRows rows with kTileRows others, kDepth numbers of them at a time ---

constexpr int kDepth = 16;
// The threads are a square, and each has a square of products.
constexpr int kSide = 16;
constexpr int kPairs = kTileRows / kSide;

using Numbers = float[kDepth][kPaddedRows];
using Products = float[kPairs][kPairs];

// The rows of this thread's products, on the left, and their columns, on the right: these and the
// kPairs - 1 after them.
__device__ inline int FirstLeft() { return static_cast<int>(threadIdx.x) / kSide * kPairs; }
__device__ inline int FirstRight() { return static_cast<int>(threadIdx.x) % kSide * kPairs; }

template <typename Row>
__device__ void LoadNumbers(const Row& row, int64_t first, int64_t width, Numbers& numbers) {
  for (int at = static_cast<int>(threadIdx.x); at < kDepth * kTileRows; at += kThreads) {
    const int r = at / kDepth, d = at % kDepth;
    const float* const from = row(r);
    const bool inside = from != nullptr && first + d < width;
    numbers[d][r] = inside ? from[first + d] : 0;
  }
}

// For the whole block. left(r) and right(r): row r of each side, of `width` numbers; null where
// there is none, and its products are 0.
template <typename Left, typename Right>
__device__ void DotProducts(const Left& left, const Right& right, int64_t width,
                            Products& products) {
  alignas(16) __shared__ Numbers of_left;
  alignas(16) __shared__ Numbers of_right;
  for (int64_t first = 0; first < width; first += kDepth) {
    LoadNumbers(left, first, width, of_left);
    LoadNumbers(right, first, width, of_right);
    __syncthreads();
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
#pragma unroll
      for (int p = 0; p < kPairs; ++p) {
#pragma unroll
        for (int q = 0; q < kPairs; ++q) {
          products[p][q] += of_left[d][FirstLeft() + p] * of_right[d][FirstRight() + q];
        }
      }
    }
    __syncthreads();
  }
}

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_TILES_CUH_
