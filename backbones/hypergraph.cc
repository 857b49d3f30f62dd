#include "backbones/hypergraph.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr float kNegativeSlope = 0.01F;

// 1 / x, and 0 (with a gradient of 0, not NaN) where x is 0.
Tensor ReciprocalOrZero(const Tensor& x) {
  const Tensor zero = x == 0;
  return x.masked_fill(zero, 1).reciprocal().masked_fill(zero, 0);
}

// [N] int64: the conversation of each utterance.
Tensor ConversationOfRows(const Packing& packing) {
  return torch::repeat_interleave(packing.lengths());
}

// Everything a layer reads, as plain memory. Conversation b has the rows starts[b] to starts[b + 1]
// of each modality.
struct Layer {
  int64_t num_modalities, num_rows, width;  // M, N, H
  std::vector<int64_t> starts;              // [B + 1]
  const float* nodes;                       // [M, N, H]
  const float* modality;                    // [M, B]
  const float* utterance;                   // [N]
  const float* node;                        // [M, N]

  Layer(const Tensor& x, const Tensor& lengths, const Tensor& of_modality,
        const Tensor& of_utterance, const Tensor& of_node)
      : num_modalities(x.size(0)),
        num_rows(x.size(1)),
        width(x.size(2)),
        starts(1, 0),
        nodes(x.data_ptr<float>()),
        modality(of_modality.data_ptr<float>()),
        utterance(of_utterance.data_ptr<float>()),
        node(of_node.data_ptr<float>()) {
    const int64_t* length = lengths.data_ptr<int64_t>();
    for (int64_t b = 0; b < lengths.size(0); ++b) starts.push_back(starts.back() + length[b]);
  }

  int64_t num_conversations() const { return static_cast<int64_t>(starts.size()) - 1; }

  // Floating-point operations per number of `nodes`, and tensors of its size that are read or
  // written.
  void CountPasses(double arithmetic, double tensors) const {
    const auto numbers = static_cast<double>(num_modalities * num_rows * width);
    CountWork(arithmetic * numbers, tensors * sizeof(float) * numbers);
  }

  // Calls f(b) for every conversation.
  template <typename F>
  void ForEachConversation(F&& f) const {
    at::parallel_for(0, num_conversations(), /*grain_size=*/1, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) f(b);
    });
  }

  // [M, H]: sum_i h_{k,i} of conversation b.
  std::vector<float> ModalitySums(int64_t b) const {
    std::vector<float> sums(num_modalities * width);
    for (int64_t k = 0; k < num_modalities; ++k) {
      float* sum = sums.data() + k * width;
      for (int64_t i = starts[b]; i < starts[b + 1]; ++i) {
        const float* x = nodes + (k * num_rows + i) * width;
        for (int64_t h = 0; h < width; ++h) sum[h] += x[h];
      }
    }
    return sums;
  }

  // sum [H] = sum_k h_{k,i}
  void UtteranceSum(int64_t i, float* sum) const {
    for (int64_t h = 0; h < width; ++h) sum[h] = nodes[i * width + h];
    for (int64_t k = 1; k < num_modalities; ++k) {
      const float* x = nodes + (k * num_rows + i) * width;
      for (int64_t h = 0; h < width; ++h) sum[h] += x[h];
    }
  }

  void Forward(const float* bias, float* result) const {
    CountPasses(/*arithmetic=*/6, /*tensors=*/2);
    ForEachConversation([&](int64_t b) {
      std::vector<float> means = ModalitySums(b);
      for (int64_t k = 0; k < num_modalities; ++k) {
        const float norm = modality[k * num_conversations() + b];
        for (int64_t h = 0; h < width; ++h) means[k * width + h] *= norm;
      }
      std::vector<float> sum(width);
      for (int64_t i = starts[b]; i < starts[b + 1]; ++i) {
        UtteranceSum(i, sum.data());
        for (int64_t k = 0; k < num_modalities; ++k) {
          const int64_t row = k * num_rows + i;
          const float* mean = means.data() + k * width;
          const float sum_norm = utterance[i];
          const float norm = node[row];
          float* out = result + row * width;
          for (int64_t h = 0; h < width; ++h) {
            const float value = (mean[h] + sum[h] * sum_norm) * norm + bias[h];
            out[h] = std::max(value, kNegativeSlope * value);  // leaky ReLU, vectorised
          }
        }
      }
    });
  }

  // Gradients: of the result and, to be written, of everything else; d_bias is [B, H], one per
  // conversation, and zero before.
  void Backward(const float* result, const float* d_result, float* d_nodes, float* d_modality,
                float* d_utterance, float* d_node, float* d_bias) const {
    CountPasses(/*arithmetic=*/16, /*tensors=*/4);
    ForEachConversation([&](int64_t b) {
      const std::vector<float> sums = ModalitySums(b);
      std::vector<float> d_means(num_modalities * width);
      std::vector<float> sum(width), d_sum(width), d_value(width);
      float* bias_sum = d_bias + b * width;
      for (int64_t i = starts[b]; i < starts[b + 1]; ++i) {
        const float sum_norm = utterance[i];
        UtteranceSum(i, sum.data());
        for (int64_t h = 0; h < width; ++h) d_sum[h] = 0;
        for (int64_t k = 0; k < num_modalities; ++k) {
          const int64_t row = k * num_rows + i;
          const float mean_norm = modality[k * num_conversations() + b];
          const float norm = node[row];
          const float* modality_sum = sums.data() + k * width;
          const float* out = result + row * width;
          const float* d_out = d_result + row * width;
          float along = 0;
#pragma omp simd reduction(+ : along)
          for (int64_t h = 0; h < width; ++h) {
            const float d = out[h] > 0 ? d_out[h] : kNegativeSlope * d_out[h];
            d_value[h] = d;
            along += d * (modality_sum[h] * mean_norm + sum[h] * sum_norm);
          }
          d_node[row] = along;
          for (int64_t h = 0; h < width; ++h) bias_sum[h] += d_value[h];
          float* d_mean = d_means.data() + k * width;
          for (int64_t h = 0; h < width; ++h) d_mean[h] += d_value[h] * norm;
          for (int64_t h = 0; h < width; ++h) d_sum[h] += d_value[h] * norm;
        }
        float along = 0;
#pragma omp simd reduction(+ : along)
        for (int64_t h = 0; h < width; ++h) along += d_sum[h] * sum[h];
        d_utterance[i] = along;
        for (int64_t k = 0; k < num_modalities; ++k) {
          float* d = d_nodes + (k * num_rows + i) * width;
          for (int64_t h = 0; h < width; ++h) d[h] = d_sum[h] * sum_norm;
        }
      }
      for (int64_t k = 0; k < num_modalities; ++k) {
        const int64_t at = k * num_conversations() + b;
        float* d_mean = d_means.data() + k * width;
        float along = 0;
#pragma omp simd reduction(+ : along)
        for (int64_t h = 0; h < width; ++h) along += d_mean[h] * sums[k * width + h];
        d_modality[at] = along;
        const float mean_norm = modality[at];
        for (int64_t h = 0; h < width; ++h) d_mean[h] *= mean_norm;
        for (int64_t i = starts[b]; i < starts[b + 1]; ++i) {
          float* d = d_nodes + (k * num_rows + i) * width;
          for (int64_t h = 0; h < width; ++h) d[h] += d_mean[h];
        }
      }
    });
  }
};

struct HypergraphFunction : torch::autograd::Function<HypergraphFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& nodes, const Tensor& modality,
                        const Tensor& utterance, const Tensor& node, const Tensor& bias,
                        const Tensor& lengths) {
    const Tensor result = torch::empty_like(nodes);
    Layer(nodes, lengths, modality, utterance, node)
        .Forward(bias.data_ptr<float>(), result.data_ptr<float>());
    context->save_for_backward({nodes, modality, utterance, node, lengths, result});
    return result;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor& nodes = saved[0];
    const Tensor &modality = saved[1], &utterance = saved[2], &node = saved[3], &lengths = saved[4];
    const Tensor d_result = gradients[0].contiguous();
    const Tensor d_nodes = torch::empty_like(nodes);
    const Tensor d_modality = torch::empty_like(modality);
    const Tensor d_utterance = torch::empty_like(utterance);
    const Tensor d_node = torch::empty_like(node);
    const Tensor d_bias = torch::zeros({lengths.size(0), nodes.size(2)});
    Layer(nodes, lengths, modality, utterance, node)
        .Backward(saved[5].data_ptr<float>(), d_result.data_ptr<float>(), d_nodes.data_ptr<float>(),
                  d_modality.data_ptr<float>(), d_utterance.data_ptr<float>(),
                  d_node.data_ptr<float>(), d_bias.data_ptr<float>());
    return {d_nodes, d_modality, d_utterance, d_node, d_bias.sum(0), Tensor()};
  }
};

}  // namespace

HypergraphNorms NormsByModality(const Tensor& hyperedge_weight, const Tensor& node_weight,
                                const Packing& packing) {
  const int64_t num_modalities = node_weight.size(0);
  const Tensor lengths = packing.lengths().to(node_weight.options().requires_grad(false));
  return {ReciprocalOrZero(node_weight.unsqueeze(1) * lengths),
          ReciprocalOrZero(node_weight.sum()).expand({packing.num_utterances()}),
          ReciprocalOrZero(hyperedge_weight.narrow(0, 0, num_modalities) +
                           hyperedge_weight[num_modalities])
              .unsqueeze(1)
              .expand({num_modalities, packing.num_utterances()})};
}

HypergraphNorms NormsByPosition(const Tensor& hyperedge_weight, const Tensor& node_weight,
                                int64_t num_modalities, const Packing& packing) {
  const int64_t num_nodes = num_modalities * packing.num_utterances();
  const int64_t num_hyperedges =
      packing.num_utterances() + num_modalities * packing.num_conversations();
  TORCH_CHECK_VALUE(num_hyperedges <= hyperedge_weight.size(0) && num_nodes <= node_weight.size(0),
                    "M3Net with semantics: OFFICIAL has weights for ", hyperedge_weight.size(0),
                    " hyperedges and ", node_weight.size(0), " nodes, and this batch of ",
                    packing.num_conversations(), " conversations and ", packing.num_utterances(),
                    " utterances needs ", num_hyperedges, " and ", num_nodes,
                    "; use a smaller batch, or semantics: CORRECTED, which has no limit");
  const Tensor& lengths = packing.lengths();
  const Tensor conversation = ConversationOfRows(packing);
  const Tensor modality = torch::arange(num_modalities).unsqueeze(1);  // [M, 1]
  const Tensor starts = lengths.cumsum(0) - lengths;                   // [B]: utterances before
  const Tensor rows = torch::arange(packing.num_utterances());
  const Tensor time = rows - starts.index_select(0, conversation);
  const Tensor first_node = num_modalities * starts + modality * lengths;  // [M, B]
  const Tensor first_hyperedge =
      starts + num_modalities * torch::arange(packing.num_conversations());  // [B]

  // No position is asked for twice.
  const auto read = [](const Tensor& weight, const Tensor& positions) {
    return SelectRows(weight, positions.flatten()).view(positions.sizes());
  };
  const Tensor nodes =
      read(node_weight, first_node.index_select(1, conversation) + time);         // [M, N]
  const Tensor of_modality = read(hyperedge_weight, first_hyperedge + modality);  // [M, B]
  const Tensor of_utterance = read(hyperedge_weight, first_hyperedge.index_select(0, conversation) +
                                                         num_modalities + time);  // [N]
  const Tensor sums = torch::zeros({num_modalities, packing.num_conversations()})
                          .index_add(1, conversation, nodes);  // [M, B]
  return {ReciprocalOrZero(sums), ReciprocalOrZero(nodes.sum(0)),
          ReciprocalOrZero(of_modality.index_select(1, conversation) + of_utterance)};
}

Tensor HypergraphLayer(const Tensor& nodes, const HypergraphNorms& norms, const Tensor& bias,
                       const Packing& packing) {
  TORCH_CHECK_VALUE(nodes.device().is_cpu(), "M3Net's graphs need nodes on the CPU, not on ",
                    nodes.device());
  return HypergraphFunction::apply(nodes.contiguous(), norms.modality.contiguous(),
                                   norms.utterance.contiguous(), norms.node.contiguous(), bias,
                                   packing.lengths().contiguous());
}

}  // namespace cmerc
