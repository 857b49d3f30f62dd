// Forward, a block multiplies tiles of weights n_ij tanh(a_i + b_j), which it makes in shared
// memory, with tiles of x. The gradient of x is the same sum with the ends of all edges exchanged.
// The gradients of a and b need d_result_i . x_j, which a block computes for a tile of i and all j;
// what its rows add to the gradients of b waits in the workspace until those of all tiles are
// there.
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/tiles.cuh"
#include "kernels/gated_aggregation.h"

namespace cmerc::kernels {
namespace {

__host__ __device__ int64_t RowTiles(const Sequences& sequences) {
  return CeilDiv(sequences.longest, kTileRows);
}

// What a block works on: kTileRows rows of a sequence, from `row` on, in modality k.
struct Tile {
  int64_t k;
  int64_t first;           // row of the sequence in the batch
  int length;              // n
  int row;                 // in the sequence; may be beyond the end
  int64_t column;          // the number of the tile along the rows
  const uint8_t* context;  // of the sequence
  const float* scale;      // of the sequence
  const float* receive;    // of the sequence and modality, like the next
  const float* send;
};

// From the number of the block. Neighbours have the same rows and different columns.
__device__ Tile FindTile(const GatedAggregation& arguments, int64_t column_tiles) {
  const Sequences& sequences = arguments.sequences;
  const int64_t row_tiles = RowTiles(sequences);
  int64_t block = blockIdx.x;
  Tile tile;
  tile.column = block % column_tiles;
  block /= column_tiles;
  tile.row = static_cast<int>(block % row_tiles) * kTileRows;
  block /= row_tiles;
  tile.k = block % arguments.num_modalities;
  const int64_t s = block / arguments.num_modalities;
  tile.first = sequences.first_row[s];
  tile.length = static_cast<int>(sequences.first_row[s + 1] - tile.first);
  tile.context = arguments.context + arguments.first_pair[s];
  tile.scale = arguments.scale + tile.first;
  tile.receive = arguments.receive + tile.k * sequences.num_rows + tile.first;
  tile.send = arguments.send + tile.k * sequences.num_rows + tile.first;
  return tile;
}

// y_i += sum_j w_ij x_j or, with kTransposed, y_j = sum_i w_ij x_i.
template <bool kTransposed>
__global__ void __launch_bounds__(kThreads)
    WeightedSums(GatedAggregation arguments, ModalityRows<const float> x, ModalityRows<float> y) {
  alignas(16) __shared__ Weights weights;
  alignas(16) __shared__ Terms terms;
  const Tile tile = FindTile(arguments, CeilDiv(arguments.width, kTileColumns));
  if (tile.row >= tile.length) return;
  const int64_t n = tile.length;
  const int64_t column = tile.column * kTileColumns;
  Sums sums = {};
  for (int term = 0; term < tile.length; term += kTerms) {
    for (int at = static_cast<int>(threadIdx.x); at < kTerms * kTileRows; at += kThreads) {
      // Threads beside each other read context beside each other.
      const int r = kTransposed ? at % kTileRows : at / kTerms;
      const int t = kTransposed ? at / kTileRows : at % kTerms;
      const int64_t row = tile.row + r, other = term + t;
      const int64_t i = kTransposed ? other : row, j = kTransposed ? row : other;
      const bool edge = i < n && j < n && tile.context[i * n + j] != 0;
      weights[t][r] =
          edge ? tile.scale[i] * tile.scale[j] * tanhf(tile.receive[i] + tile.send[j]) : 0;
    }
    const auto row_of = [&](int t) {
      return term + t < n ? x.Row(tile.k, tile.first + term + t) : nullptr;
    };
    LoadTerms(row_of, column, arguments.width, terms);
    __syncthreads();
    AddWeighted(weights, terms, sums);
    __syncthreads();
  }
  ForEachSum(sums, column, arguments.width, [&](int r, int64_t h, float sum) {
    if (tile.row + r >= n) return;
    float& out = y.Row(tile.k, tile.first + tile.row + r)[h];
    out = kTransposed ? sum : out + sum;
  });
}

// Writes d_receive, and to parts [M, row tiles, R] the d_send of the edges that end in the tile.
__global__ void __launch_bounds__(kThreads)
    ArgumentGradients(GatedAggregation arguments, float* parts) {
  __shared__ float of_columns[kSide][kTileRows];
  const Tile tile = FindTile(arguments, 1);
  if (tile.row >= tile.length) return;
  const int64_t n = tile.length, num_rows = arguments.sequences.num_rows;
  const int64_t number = tile.k * RowTiles(arguments.sequences) + tile.row / kTileRows;
  float* const part = parts + number * num_rows + tile.first;
  const auto left = [&](int r) {
    const int64_t i = tile.row + r;
    return i < n ? arguments.d_result.Row(tile.k, tile.first + i) : nullptr;
  };
  float d_receive[kPairs] = {};
  for (int column = 0; column < tile.length; column += kTileRows) {
    const auto right = [&](int r) {
      const int64_t j = column + r;
      return j < n ? arguments.x.Row(tile.k, tile.first + j) : nullptr;
    };
    Products products = {};
    DotProducts(left, right, arguments.width, products);
    float d_send[kPairs] = {};
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      const int64_t i = tile.row + FirstLeft() + p;
#pragma unroll
      for (int q = 0; q < kPairs; ++q) {
        const int64_t j = column + FirstRight() + q;
        if (i >= n || j >= n || tile.context[i * n + j] == 0) continue;
        const float gate = tanhf(tile.receive[i] + tile.send[j]);
        const float d_argument = products[p][q] * tile.scale[i] * tile.scale[j] * (1 - gate * gate);
        d_receive[p] += d_argument;
        d_send[q] += d_argument;
      }
    }
    for (int q = 0; q < kPairs; ++q) {
      of_columns[FirstLeft() / kPairs][FirstRight() + q] = d_send[q];
    }
    __syncthreads();
    const int j = static_cast<int>(threadIdx.x);
    if (j < kTileRows && column + j < n) {
      float sum = 0;
      for (int of = 0; of < kSide; ++of) sum += of_columns[of][j];
      part[column + j] = sum;
    }
    __syncthreads();
  }
  for (int p = 0; p < kPairs; ++p) {
    // Over the threads of a row of the square, half a warp.
    for (int lanes = kSide / 2; lanes > 0; lanes /= 2) {
      d_receive[p] += __shfl_xor_sync(~0U, d_receive[p], lanes);
    }
    const int64_t i = tile.row + FirstLeft() + p;
    if (FirstRight() == 0 && i < n) {
      arguments.d_receive[tile.k * num_rows + tile.first + i] = d_receive[p];
    }
  }
}

// d_send: the sums of the parts of all tiles of a sequence.
__global__ void __launch_bounds__(kTileRows)
    AddParts(GatedAggregation arguments, const float* parts) {
  const Tile tile = FindTile(arguments, 1);
  const int64_t num_rows = arguments.sequences.num_rows;
  const int64_t row = tile.row + static_cast<int>(threadIdx.x);
  if (row >= tile.length) return;
  const float* part = parts + tile.k * RowTiles(arguments.sequences) * num_rows + tile.first + row;
  float sum = 0;
  for (int end = 0; end < tile.length; end += kTileRows, part += num_rows) sum += *part;
  arguments.d_send[tile.k * num_rows + tile.first + row] = sum;
}

// Blocks for all tiles of rows of a batch.
int64_t Blocks(const GatedAggregation& arguments) {
  return arguments.sequences.count * arguments.num_modalities * RowTiles(arguments.sequences);
}

template <bool kTransposed>
absl::Status LaunchSums(const GatedAggregation& arguments, const ModalityRows<const float>& x,
                        const ModalityRows<float>& y, CudaStream stream) {
  return Start("gated aggregation", WeightedSums<kTransposed>,
               Blocks(arguments) * CeilDiv(arguments.width, kTileColumns), kThreads, stream,
               arguments, x, y);
}

}  // namespace

absl::Status LaunchGatedAggregation(const GatedAggregation& arguments, CudaStream stream) {
  return LaunchSums<false>(arguments, arguments.x, arguments.result, stream);
}

int64_t GatedAggregationWorkspace(const Sequences& sequences, int64_t num_modalities) {
  return num_modalities * RowTiles(sequences) * sequences.num_rows;
}

absl::Status LaunchGatedAggregationBackward(const GatedAggregation& arguments, CudaStream stream) {
  const char* const kName = "the gradient of gated aggregation";
  const absl::Status of_x = LaunchSums<true>(arguments, arguments.d_result, arguments.d_x, stream);
  if (!of_x.ok()) return of_x;
  const absl::Status of_arguments = Start(kName, ArgumentGradients, Blocks(arguments), kThreads,
                                          stream, arguments, arguments.workspace);
  if (!of_arguments.ok()) return of_arguments;
  return Start(kName, AddParts, Blocks(arguments), kTileRows, stream, arguments,
               arguments.workspace);
}

}  // namespace cmerc::kernels
