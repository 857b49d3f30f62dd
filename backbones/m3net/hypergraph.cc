#include "backbones/m3net/hypergraph.h"

#include <algorithm>

#include "core/to_device.h"
#include "kernels/cpu/scratch.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;
using Conversation = ConversationBlocks::Conversation;

// 1 / x, and 0 (with a gradient of 0, not NaN) where x is 0.
Tensor ReciprocalOrZero(const Tensor& x) {
  const Tensor zero = x == 0;
  return x.masked_fill(zero, 1).reciprocal().masked_fill(zero, 0);
}

// What layer l leaves of a conversation.
kernels::GraphRows<float> ResultOf(const Tensor& kept, const Conversation& c, int64_t l) {
  return kernels::RowsIn(kept.data_ptr<float>() + l * kept.stride(0), kept.size(1), kept.size(2),
                         kept.size(3))
      .From(c.first_row);
}

// One number for each modality and utterance of a conversation, out of all [M, N].
template <typename T>
kernels::GraphRows<T> NumbersOf(const Tensor& all, const Conversation& c) {
  kernels::GraphRows<T> rows{{}, 1};
  for (int64_t k = 0; k < all.size(0); ++k) {
    rows.first.push_back(all.data_ptr<float>() + k * all.size(1) + c.first_row);
  }
  return rows;
}

// sum [size] += the parts, [count, size].
void AddUp(const float* parts, int64_t count, int64_t size, float* sum) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t at = 0; at < size; ++at) sum[at] += parts[i * size + at];
  }
}

}  // namespace

HypergraphNorms NormsByModality(const Tensor& hyperedge_weight, const Tensor& node_weight,
                                const Packing& packing) {
  const int64_t num_modalities = node_weight.size(0);
  const Tensor lengths =
      ToDevice(packing.lengths(), node_weight.device()).to(node_weight.scalar_type());
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
  // Positions are computed on the CPU, where the lengths are.
  const Tensor conversation = torch::repeat_interleave(lengths);       // [N]
  const Tensor modality = torch::arange(num_modalities).unsqueeze(1);  // [M, 1]
  const Tensor starts = lengths.cumsum(0) - lengths;                   // [B]: utterances before
  const Tensor rows = torch::arange(packing.num_utterances());
  const Tensor time = rows - starts.index_select(0, conversation);
  const Tensor first_node = num_modalities * starts + modality * lengths;  // [M, B]
  const Tensor first_hyperedge =
      starts + num_modalities * torch::arange(packing.num_conversations());  // [B]

  // No position is asked for twice.
  const torch::Device device = node_weight.device();
  const auto read = [&](const Tensor& weight, const Tensor& positions) {
    return SelectRows(weight, ToDevice(positions.flatten(), device)).view(positions.sizes());
  };
  const Tensor nodes =
      read(node_weight, first_node.index_select(1, conversation) + time);         // [M, N]
  const Tensor of_modality = read(hyperedge_weight, first_hyperedge + modality);  // [M, B]
  const Tensor of_utterance = read(hyperedge_weight, first_hyperedge.index_select(0, conversation) +
                                                         num_modalities + time);  // [N]
  const Tensor conversation_there = ToDevice(conversation, device);
  const Tensor sums = torch::zeros({num_modalities, packing.num_conversations()}, device)
                          .index_add(1, conversation_there, nodes);  // [M, B]
  return {ReciprocalOrZero(sums), ReciprocalOrZero(nodes.sum(0)),
          ReciprocalOrZero(of_modality.index_select(1, conversation_there) + of_utterance)};
}

HypergraphLayers::HypergraphLayers(const HypergraphNorms& norms, at::TensorList biases,
                                   int64_t num_modalities, int64_t width)
    : num_modalities_(num_modalities),
      width_(width),
      norms_(norms),
      biases_(biases.begin(), biases.end()) {}

Tensor HypergraphLayers::MakeKept(const ConversationBlocks& blocks) const {
  return torch::empty({num_layers() - 1, num_modalities_, blocks.num_rows(), width_});
}

void HypergraphLayers::Forward(const ConversationBlocks& blocks,
                               const kernels::GraphRows<const float>& nodes, const Tensor* kept,
                               const kernels::GraphRows<float>& result) const {
  CountPasses(blocks, /*arithmetic=*/6 * static_cast<double>(num_layers()),
              /*tensors=*/kept == nullptr ? 2 : 1 + static_cast<double>(num_layers()));
  const kernels::HypergraphKernels& best = kernels::BestHypergraphKernels();
  blocks.ForEachConversation([&](const Conversation& c) {
    const int64_t row_size = num_modalities_ * width_;
    const kernels::Scratch scratch((1 + c.num_blocks) * row_size +
                                   (kept != nullptr ? 0 : 2 * c.length * row_size));
    float* const sums = scratch.get();
    float* const parts = sums + row_size;
    const auto buffer = [&](int64_t l) {
      return kernels::RowsIn(parts + c.num_blocks * row_size + l % 2 * c.length * row_size,
                             num_modalities_, c.length, width_);
    };
    for (int64_t l = 0; l < num_layers(); ++l) {
      kernels::HypergraphPass pass = Pass(c, l);
      pass.nodes = nodes.From(c.first_row);
      if (l > 0) pass.nodes = kept != nullptr ? ResultOf(*kept, c, l - 1) : buffer(l - 1);
      pass.result = l + 1 == num_layers() ? result.From(c.first_row)
                    : kept != nullptr     ? ResultOf(*kept, c, l)
                                          : buffer(l);
      Sum(c, pass, parts, sums);
      pass.sums = sums;
      blocks.ForEachBlock(c, 1, [&](int64_t, int64_t, int64_t first, int64_t last) {
        best.forward(pass, first, last);
      });
    }
  });
}

// What the backward pass of a conversation works with, on one piece of memory.
struct HypergraphLayers::BackwardMemory {
  BackwardMemory(const Conversation& c, int64_t num_modalities, int64_t width)
      : num_modalities(num_modalities),
        width(width),
        length(c.length),
        row_size(num_modalities * width),
        scratch((2 + c.num_blocks) * row_size + length * width + 2 * length * row_size),
        sums(scratch.get()),
        d_means(sums + row_size),
        parts(d_means + row_size),
        d_sums(parts + c.num_blocks * row_size) {}

  // The gradients of what layer l reads.
  kernels::GraphRows<float> Nodes(int64_t l) const {
    return kernels::RowsIn(d_sums + length * width + l % 2 * length * row_size, num_modalities,
                           length, width);
  }

  const int64_t num_modalities, width, length, row_size;
  const kernels::Scratch scratch;
  float* const sums;     // [M, H]: of the nodes
  float* const d_means;  // [M, H]
  float* const parts;    // [blocks, M, H]
  float* const d_sums;   // [n, H]
};

HypergraphLayers::Gradients HypergraphLayers::Backward(
    const ConversationBlocks& blocks, const kernels::GraphRows<const float>& nodes,
    const Tensor& kept, const kernels::GraphRows<const float>& result,
    const kernels::GraphRows<const float>& d_result,
    const kernels::GraphRows<float>& d_nodes) const {
  CountPasses(blocks, /*arithmetic=*/16 * static_cast<double>(num_layers()),
              /*tensors=*/3 + static_cast<double>(num_layers()));
  const HypergraphNorms d_norms{torch::zeros_like(norms_.modality),
                                torch::zeros_like(norms_.utterance),
                                torch::zeros_like(norms_.node)};
  const Tensor d_biases = torch::zeros({num_layers(), blocks.num_blocks(), width_});
  auto* const all_d_biases = d_biases.data_ptr<float>();
  blocks.ForEachConversation([&](const Conversation& c) {
    const BackwardMemory memory(c, num_modalities_, width_);
    for (int64_t l = num_layers(); l-- > 0;) {
      const bool last_layer = l + 1 == num_layers();
      kernels::HypergraphPass pass = Pass(c, l);
      pass.nodes = nodes.From(c.first_row);
      if (l > 0) pass.nodes = ResultOf(kept, c, l - 1);
      pass.activated = last_layer ? result.From(c.first_row)
                                  : kernels::GraphRows<const float>(ResultOf(kept, c, l));
      pass.d_result = d_result.From(c.first_row);
      if (!last_layer) pass.d_result = memory.Nodes(l + 1);
      pass.d_nodes = l == 0 ? d_nodes.From(c.first_row) : memory.Nodes(l);
      LayerBackward(c, l, memory, d_norms,
                    all_d_biases + (l * blocks.num_blocks() + c.first_block) * width_, pass);
    }
  });
  return {d_norms, d_biases.sum(1)};
}

void HypergraphLayers::LayerBackward(const Conversation& c, int64_t l, const BackwardMemory& memory,
                                     const HypergraphNorms& d_norms, float* d_bias,
                                     kernels::HypergraphPass& pass) const {
  const kernels::HypergraphKernels& best = kernels::BestHypergraphKernels();
  const int64_t row_size = memory.row_size;
  pass.d_sums = memory.d_sums;
  pass.d_utterance = d_norms.utterance.data_ptr<float>() + c.first_row;
  pass.d_node = NumbersOf<float>(d_norms.node, c);
  Sum(c, pass, memory.parts, memory.sums);
  pass.sums = memory.sums;
  std::fill_n(memory.parts, c.num_blocks * row_size, 0.0F);
  ConversationBlocks::ForEachBlock(c, 1, [&](int64_t, int64_t block, int64_t first, int64_t last) {
    best.backward(pass, first, last, memory.parts + block * row_size, d_bias + block * width_);
  });
  std::fill_n(memory.d_means, row_size, 0.0F);
  AddUp(memory.parts, c.num_blocks, row_size, memory.d_means);
  for (int64_t k = 0; k < num_modalities_; ++k) {
    double along = 0;
    for (int64_t h = k * width_; h < (k + 1) * width_; ++h) {
      along += memory.d_means[h] * memory.sums[h];
    }
    d_norms.modality.data_ptr<float>()[k * norms_.modality.size(1) + c.number] +=
        static_cast<float>(along);
  }
  ConversationBlocks::ForEachBlock(c, 1, [&](int64_t, int64_t, int64_t first, int64_t last) {
    best.finish_backward(pass, first, last, memory.d_means, /*add=*/l == 0);
  });
}

kernels::HypergraphPass HypergraphLayers::Pass(const Conversation& c, int64_t l) const {
  kernels::HypergraphPass pass{};
  pass.num_modalities = num_modalities_;
  pass.width = width_;
  for (int64_t k = 0; k < num_modalities_; ++k) {
    pass.modality.push_back(
        norms_.modality.data_ptr<float>()[k * norms_.modality.size(1) + c.number]);
  }
  pass.utterance = norms_.utterance.data_ptr<float>() + c.first_row;
  pass.node = NumbersOf<const float>(norms_.node, c);
  pass.bias = biases_[l].data_ptr<float>();
  return pass;
}

void HypergraphLayers::Sum(const Conversation& c, const kernels::HypergraphPass& pass, float* parts,
                           float* sums) const {
  const int64_t row_size = num_modalities_ * width_;
  ConversationBlocks::ForEachBlock(c, 1, [&](int64_t, int64_t block, int64_t first, int64_t last) {
    kernels::BestHypergraphKernels().sum_nodes(pass, first, last, parts + block * row_size);
  });
  std::fill_n(sums, row_size, 0.0F);
  AddUp(parts, c.num_blocks, row_size, sums);
}

void HypergraphLayers::CountPasses(const ConversationBlocks& blocks, double arithmetic,
                                   double tensors) const {
  const double numbers = static_cast<double>(num_modalities_ * blocks.num_rows() * width_);
  CountWork(arithmetic * numbers, tensors * sizeof(float) * numbers);
}

}  // namespace cmerc
