// A block has some columns of all rows of a sequence: a lane is a column, a warp has every
// kWarps-th row. It adds up the rows, and then it walks over them once more. Of sums over columns a
// block has a part, which waits in the workspace.
#include "kernels/cuda/launch.cuh"
#include "kernels/hypergraph_mean.h"

namespace cmerc::kernels {
namespace {

constexpr int kWarps = 16;
constexpr int kThreads = kWarps * kWarp;
constexpr int kMaxModalities = static_cast<int>(kHypergraphMeanModalities);
constexpr float kNegativeSlope = 0.01F;

__host__ __device__ int64_t Chunks(int64_t width) { return CeilDiv(width, kWarp); }

// What a block works on, and this thread.
struct Part {
  int64_t sequence;
  int64_t chunk;
  int64_t begin, end;  // rows of the sequence
  int64_t column;      // of this lane
  bool inside;         // whether there is such a column
  int warp, lane;
};

__device__ Part FindPart(const HypergraphMean& arguments) {
  const int64_t chunks = Chunks(arguments.width);
  Part part;
  part.sequence = blockIdx.x / chunks;
  part.chunk = blockIdx.x % chunks;
  part.begin = arguments.sequences.first_row[part.sequence];
  part.end = arguments.sequences.first_row[part.sequence + 1];
  part.warp = static_cast<int>(threadIdx.x) / kWarp;
  part.lane = static_cast<int>(threadIdx.x) % kWarp;
  part.column = part.chunk * kWarp + part.lane;
  part.inside = part.column < arguments.width;
  return part;
}

using PerWarp = float[kWarps][kWarp];

// The sum of x over the warps, for each lane; for the whole block.
__device__ float SumOfWarps(float x, const Part& part, PerWarp& of_warps) {
  of_warps[part.warp][part.lane] = x;
  __syncthreads();
  float sum = 0;
  for (int w = 0; w < kWarps; ++w) sum += of_warps[w][part.lane];
  __syncthreads();
  return sum;
}

__device__ float At(const ModalityRows<const float>& rows, int64_t k, int64_t r, const Part& part) {
  return part.inside ? rows.Row(k, r)[part.column] : 0;
}

__global__ void __launch_bounds__(kThreads) Forward(HypergraphMean arguments) {
  __shared__ PerWarp of_warps;
  __shared__ float means[kMaxModalities][kWarp];
  const Part part = FindPart(arguments);
  const int64_t num_rows = arguments.sequences.num_rows;
  for (int k = 0; k < arguments.num_modalities; ++k) {
    float sum = 0;
    for (int64_t r = part.begin + part.warp; r < part.end; r += kWarps) {
      sum += At(arguments.nodes, k, r, part);
    }
    sum = SumOfWarps(sum, part, of_warps);
    if (part.warp == 0) {
      means[k][part.lane] = sum * arguments.modality[k * arguments.sequences.count + part.sequence];
    }
  }
  __syncthreads();
  if (!part.inside) return;
  const float bias = arguments.bias[part.column];
  for (int64_t r = part.begin + part.warp; r < part.end; r += kWarps) {
    float sum = 0;
    for (int k = 0; k < arguments.num_modalities; ++k) sum += At(arguments.nodes, k, r, part);
    sum *= arguments.utterance[r];
    for (int k = 0; k < arguments.num_modalities; ++k) {
      const float value = arguments.node[k * num_rows + r] * (means[k][part.lane] + sum) + bias;
      arguments.result.Row(k, r)[part.column] = value > 0 ? value : value * kNegativeSlope;
    }
  }
}

// Where the parts of sums are, each [chunks, ...] but the last.
struct Workspace {
  float* modality;   // [chunks, M, S]
  float* utterance;  // [chunks, R]
  float* node;       // [chunks, M, R]
  float* bias;       // [S, H]
};

Workspace Divide(const HypergraphMean& arguments) {
  const Sequences& sequences = arguments.sequences;
  const int64_t chunks = Chunks(arguments.width);
  Workspace workspace;
  workspace.modality = arguments.workspace;
  workspace.utterance = workspace.modality + chunks * arguments.num_modalities * sequences.count;
  workspace.node = workspace.utterance + chunks * sequences.num_rows;
  workspace.bias = workspace.node + chunks * arguments.num_modalities * sequences.num_rows;
  return workspace;
}

// The gradient of what LeakyReLU got.
__device__ float BeforeActivation(const HypergraphMean& arguments, int64_t k, int64_t r,
                                  const Part& part) {
  const float d = At(arguments.d_result, k, r, part);
  return At(arguments.activated, k, r, part) > 0 ? d : d * kNegativeSlope;
}

__global__ void __launch_bounds__(kThreads)
    Backward(HypergraphMean arguments, Workspace workspace) {
  __shared__ PerWarp of_warps;
  __shared__ float means[kMaxModalities][kWarp];
  __shared__ float d_sums[kMaxModalities][kWarp];  // of the sums over a modality's rows
  const Part part = FindPart(arguments);
  const int64_t num_rows = arguments.sequences.num_rows, num_modalities = arguments.num_modalities;
  float d_bias = 0;
  for (int k = 0; k < num_modalities; ++k) {
    float sum = 0, d_mean = 0;
    for (int64_t r = part.begin + part.warp; r < part.end; r += kWarps) {
      const float d = BeforeActivation(arguments, k, r, part);
      sum += At(arguments.nodes, k, r, part);
      d_mean += d * arguments.node[k * num_rows + r];
      d_bias += d;
    }
    sum = SumOfWarps(sum, part, of_warps);
    d_mean = SumOfWarps(d_mean, part, of_warps);
    if (part.warp == 0) {
      const int64_t of_sequence = k * arguments.sequences.count + part.sequence;
      const float along = WarpSum(sum * d_mean);
      if (part.lane == 0) {
        workspace.modality[part.chunk * num_modalities * arguments.sequences.count + of_sequence] =
            along;
      }
      means[k][part.lane] = sum * arguments.modality[of_sequence];
      d_sums[k][part.lane] = d_mean * arguments.modality[of_sequence];
    }
  }
  d_bias = SumOfWarps(d_bias, part, of_warps);
  if (part.warp == 0 && part.inside) {
    workspace.bias[part.sequence * arguments.width + part.column] = d_bias;
  }
  // SumOfWarps() has waited for the sums.
  for (int64_t r = part.begin + part.warp; r < part.end; r += kWarps) {
    const float utterance = arguments.utterance[r];
    float sum = 0, d_sum = 0;
    for (int k = 0; k < num_modalities; ++k) {
      sum += At(arguments.nodes, k, r, part);
      d_sum += BeforeActivation(arguments, k, r, part) * arguments.node[k * num_rows + r];
    }
    for (int k = 0; k < num_modalities; ++k) {
      const float inner = means[k][part.lane] + utterance * sum;
      const float along = WarpSum(BeforeActivation(arguments, k, r, part) * inner);
      if (part.lane == 0) {
        workspace.node[(part.chunk * num_modalities + k) * num_rows + r] = along;
      }
      if (part.inside) {
        arguments.d_nodes.Row(k, r)[part.column] = utterance * d_sum + d_sums[k][part.lane];
      }
    }
    const float along = WarpSum(d_sum * sum);
    if (part.lane == 0) workspace.utterance[part.chunk * num_rows + r] = along;
  }
}

// sum [size] of parts [count, size].
__global__ void __launch_bounds__(kThreads)
    AddParts(const float* parts, int64_t count, int64_t size, float* sum) {
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= size) return;
  float total = 0;
  for (int64_t i = 0; i < count; ++i) total += parts[i * size + at];
  sum[at] = total;
}

absl::Status Check(const HypergraphMean& arguments) {
  if (arguments.num_modalities <= kHypergraphMeanModalities) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the hypergraph has ", arguments.num_modalities,
                                                 " modalities, and on a GPU at most ",
                                                 kHypergraphMeanModalities, " are possible"));
}

}  // namespace

absl::Status LaunchHypergraphMean(const HypergraphMean& arguments, CudaStream stream) {
  const absl::Status checked = Check(arguments);
  if (!checked.ok()) return checked;
  return Start("the hypergraph", Forward, arguments.sequences.count * Chunks(arguments.width),
               kThreads, stream, arguments);
}

int64_t HypergraphMeanWorkspace(const Sequences& sequences, int64_t num_modalities, int64_t width) {
  return Chunks(width) * (num_modalities * sequences.count + sequences.num_rows +
                          num_modalities * sequences.num_rows) +
         sequences.count * width;
}

absl::Status LaunchHypergraphMeanBackward(const HypergraphMean& arguments, CudaStream stream) {
  const char* const kName = "the gradient of the hypergraph";
  const Sequences& sequences = arguments.sequences;
  const int64_t chunks = Chunks(arguments.width), num_modalities = arguments.num_modalities;
  const Workspace parts = Divide(arguments);
  const absl::Status checked = Check(arguments);
  if (!checked.ok()) return checked;
  const absl::Status started =
      Start(kName, Backward, sequences.count * chunks, kThreads, stream, arguments, parts);
  if (!started.ok()) return started;
  const struct {
    const float* parts;
    int64_t count;
    int64_t size;
    float* sum;
  } to_add[] = {{parts.modality, chunks, num_modalities * sequences.count, arguments.d_modality},
                {parts.utterance, chunks, sequences.num_rows, arguments.d_utterance},
                {parts.node, chunks, num_modalities * sequences.num_rows, arguments.d_node},
                {parts.bias, sequences.count, arguments.width, arguments.d_bias}};
  for (const auto& all : to_add) {
    const absl::Status added = Start(kName, AddParts, CeilDiv(all.size, kThreads), kThreads, stream,
                                     all.parts, all.count, all.size, all.sum);
    if (!added.ok()) return added;
  }
  return absl::OkStatus();
}

}  // namespace cmerc::kernels
