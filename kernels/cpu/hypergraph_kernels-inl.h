// The kernels for the vectors of one instruction set, Highway's HWY_NAMESPACE; included by
// hypergraph_kernels.cc once for each.
#include "kernels/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace cmerc::kernels {
namespace {
namespace HWY_NAMESPACE {

// Below, `count` is kLanes, known to the compiler, but for the last vector of a row.

constexpr float kNegativeSlope = 0.01F;

// to = from
HWY_INLINE void Copy(const float* from, float* to, int64_t width) {
  __builtin_memcpy(to, from, static_cast<size_t>(width) * sizeof(float));
}

// sum [H] of an utterance's nodes.
HWY_INLINE void SumOfUtterance(const HypergraphPass& pass, int64_t i, float* sum) {
  Copy(pass.nodes.Row(0, i), sum, pass.width);
  for (int64_t k = 1; k < pass.num_modalities; ++k) {
    Add(1, pass.nodes.Row(k, i), sum, pass.width);
  }
}

void SumNodes(const HypergraphPass& pass, int64_t first, int64_t last, float* sums) {
  for (int64_t k = 0; k < pass.num_modalities; ++k) {
    float* sum = sums + k * pass.width;
    std::fill_n(sum, pass.width, 0.0F);
    for (int64_t i = first; i < last; ++i) Add(1, pass.nodes.Row(k, i), sum, pass.width);
  }
}

// One vector of mean + sum, each times its norm.
HWY_INLINE Vec Both(const float* mean, float mean_norm, const float* sum, float sum_norm, int64_t h,
                    int64_t count) {
  return hn::MulAdd(Load(mean + h, count), All(mean_norm),
                    hn::Mul(Load(sum + h, count), All(sum_norm)));
}

// One vector of a node's result.
HWY_INLINE void Activate(const float* mean, float mean_norm, const float* sum, float sum_norm,
                         float norm, const float* bias, float* out, int64_t h, int64_t count) {
  const Vec value =
      hn::MulAdd(Both(mean, mean_norm, sum, sum_norm, h, count), All(norm), Load(bias + h, count));
  Store(out + h, hn::IfThenElse(hn::Gt(value, Zero()), value, hn::Mul(value, All(kNegativeSlope))),
        count);
}

void Forward(const HypergraphPass& pass, int64_t first, int64_t last) {
  const int64_t width = pass.width;
  const Scratch sum(width);
  for (int64_t i = first; i < last; ++i) {
    SumOfUtterance(pass, i, sum.get());
    for (int64_t k = 0; k < pass.num_modalities; ++k) {
      const float norm = *pass.node.Row(k, i);
      const float* mean = pass.sums + k * width;
      float* out = pass.result.Row(k, i);
      int64_t h = 0;
      for (; h + kLanes <= width; h += kLanes) {
        Activate(mean, pass.modality[k], sum.get(), pass.utterance[i], norm, pass.bias, out, h,
                 kLanes);
      }
      if (h < width) {
        Activate(mean, pass.modality[k], sum.get(), pass.utterance[i], norm, pass.bias, out, h,
                 width - h);
      }
    }
  }
}

// What a node's gradient adds to.
struct NodeGradients {
  float* d_bias;
  float* d_mean;
  float* d_sum;
};

// One vector of a node. `along` gets d * (mean + sum), each with its norm.
HWY_INLINE void NodeBackward(const float* out, const float* d_out, const float* mean,
                             float mean_norm, const float* sum, float sum_norm, float norm,
                             const NodeGradients& to, int64_t h, int64_t count, Vec& along) {
  const Vec d_whole = Load(d_out + h, count);
  const Vec d = hn::IfThenElse(hn::Gt(Load(out + h, count), Zero()), d_whole,
                               hn::Mul(d_whole, All(kNegativeSlope)));
  along = hn::MulAdd(d, Both(mean, mean_norm, sum, sum_norm, h, count), along);
  Store(to.d_bias + h, hn::Add(Load(to.d_bias + h, count), d), count);
  Store(to.d_mean + h, hn::MulAdd(d, All(norm), Load(to.d_mean + h, count)), count);
  Store(to.d_sum + h, hn::MulAdd(d, All(norm), Load(to.d_sum + h, count)), count);
}

void Backward(const HypergraphPass& pass, int64_t first, int64_t last, float* d_means,
              float* d_bias) {
  const int64_t width = pass.width;
  const Scratch sum(width);
  for (int64_t i = first; i < last; ++i) {
    SumOfUtterance(pass, i, sum.get());
    float* d_sum = pass.d_sums + i * width;
    std::fill_n(d_sum, width, 0.0F);
    for (int64_t k = 0; k < pass.num_modalities; ++k) {
      const float norm = *pass.node.Row(k, i);
      const float* mean = pass.sums + k * width;
      const float* out = pass.activated.Row(k, i);
      const float* d_out = pass.d_result.Row(k, i);
      const NodeGradients to{d_bias, d_means + k * width, d_sum};
      Vec along = Zero();
      int64_t h = 0;
      for (; h + kLanes <= width; h += kLanes) {
        NodeBackward(out, d_out, mean, pass.modality[k], sum.get(), pass.utterance[i], norm, to, h,
                     kLanes, along);
      }
      if (h < width) {
        NodeBackward(out, d_out, mean, pass.modality[k], sum.get(), pass.utterance[i], norm, to, h,
                     width - h, along);
      }
      *pass.d_node.Row(k, i) += Sum(along);
    }
    pass.d_utterance[i] += Dot(d_sum, sum.get(), width);
  }
}

void FinishBackward(const HypergraphPass& pass, int64_t first, int64_t last, const float* d_means,
                    bool add) {
  const int64_t width = pass.width;
  for (int64_t i = first; i < last; ++i) {
    for (int64_t k = 0; k < pass.num_modalities; ++k) {
      float* d = pass.d_nodes.Row(k, i);
      if (!add) std::fill_n(d, width, 0.0F);
      Add(pass.utterance[i], pass.d_sums + i * width, d, width);
      Add(pass.modality[k], d_means + k * width, d, width);
    }
  }
}

constexpr HypergraphKernels kKernels = {SumNodes, Forward, Backward, FinishBackward};

const HypergraphKernels* Kernels() { return &kKernels; }

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace cmerc::kernels
HWY_AFTER_NAMESPACE();
