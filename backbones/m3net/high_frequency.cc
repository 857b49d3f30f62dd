#include "backbones/m3net/high_frequency.h"

#include <algorithm>
#include <utility>

#include "backbones/layers/row_blocks.h"
#include "kernels/cpu/scratch.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;
using Conversation = ConversationBlocks::Conversation;

// What layer l + 1 reads of a conversation.
kernels::GraphRows<float> NodesAfter(const Tensor& nodes, const Conversation& c, int64_t l) {
  const int64_t width = nodes.size(3);
  return kernels::RowsIn(nodes.data_ptr<float>() + l * nodes.stride(0), nodes.size(1),
                         nodes.size(2), width)
      .From(c.first_row);
}

// 1 / deg and its root, [B, T], from the numbers of neighbors within a modality.
struct Degrees {
  Degrees(const Tensor& neighbors, int64_t num_modalities) {
    // A node without neighbors sends nothing that its degree could scale, unless contexts are
    // one-sided; then it counts as having one.
    const Tensor degree = (neighbors + (num_modalities - 1)).clamp_min(1);
    reciprocal = degree.reciprocal();
    scale = degree.rsqrt();
  }
  Tensor reciprocal, scale;
};

HighFrequencyGraph MakeGraphByRows(const Tensor& context, int64_t num_modalities,
                                   const Packing& packing, const RowBlocks& blocks) {
  const Tensor columns = packing.valid().unsqueeze(1);
  const Tensor counts = blocks.Gather(1, [&](int64_t first, int64_t count) {
    return context.narrow(1, first, count).logical_and(columns).to(torch::kFloat32).sum(2);
  });
  const Tensor itself = context.diagonal(/*offset=*/0, 1, 2).logical_and(packing.valid());
  const Degrees degrees(counts - itself.to(torch::kFloat32), num_modalities);
  return {Tensor(), packing.Pack(degrees.reciprocal), context, packing.Pack(degrees.scale)};
}

}  // namespace

HighFrequencyGraph MakeHighFrequencyGraph(const Tensor& context, int64_t num_modalities,
                                          const Packing& packing) {
  const RowBlocks blocks(context.size(1), context.size(0) * context.size(1));
  if (!blocks.whole() && context.is_cpu()) {
    return MakeGraphByRows(context, num_modalities, packing, blocks);
  }
  const Tensor others = torch::eye(context.size(1), context.options()).logical_not();  // [T, T]
  const Tensor& valid = packing.valid();
  const Tensor neighbors = context.logical_and(others)
                               .logical_and(valid.unsqueeze(1))
                               .logical_and(valid.unsqueeze(2))
                               .to(torch::kFloat32);  // [B, T, T]
  const Degrees degrees(neighbors.sum(2), num_modalities);
  const Tensor& scale = degrees.scale;
  return {packing.PackPairs(neighbors * scale.unsqueeze(2) * scale.unsqueeze(1)),
          packing.Pack(degrees.reciprocal), Tensor(), Tensor()};
}

HighFrequencyLayers::HighFrequencyLayers(HighFrequencyGraph graph, at::TensorList gates,
                                         int64_t num_modalities, int64_t width)
    : num_modalities_(num_modalities),
      width_(width),
      graph_(std::move(graph)),
      gates_(gates.begin(), gates.end()) {}

HighFrequencyLayers::Kept HighFrequencyLayers::MakeKept(const ConversationBlocks& blocks) const {
  return {torch::empty({num_layers() - 1, num_modalities_, blocks.num_rows(), width_}),
          torch::empty({num_layers(), 2, num_modalities_ * blocks.num_rows()})};
}

void HighFrequencyLayers::Forward(const ConversationBlocks& blocks,
                                  const kernels::GraphRows<const float>& nodes, const Kept* kept,
                                  const kernels::GraphRows<float>& result) const {
  CountPasses(blocks, /*products=*/1,
              /*tensors=*/kept == nullptr ? 2 : 1 + static_cast<double>(num_layers()));
  const kernels::HighFrequencyKernels& best = kernels::BestHighFrequencyKernels();
  blocks.ForEachConversation([&](const Conversation& c) {
    const int64_t rows = num_modalities_ * c.length;
    const kernels::Scratch scratch(kept != nullptr ? 0 : 2 * rows * (width_ + 1));
    const auto buffer = [&](int64_t l) {
      return kernels::RowsIn(scratch.get() + l % 2 * rows * width_, num_modalities_, c.length,
                             width_);
    };
    for (int64_t l = 0; l < num_layers(); ++l) {
      kernels::HighFrequencyPass pass = Pass(c, l);
      pass.nodes = nodes.From(c.first_row);
      if (kept != nullptr) {
        Use(*kept, blocks, c, l, pass);
        if (l + 1 < num_layers()) pass.result = NodesAfter(kept->nodes, c, l);
      } else {
        if (l > 0) pass.nodes = buffer(l - 1);
        pass.receive = scratch.get() + 2 * rows * width_;
        pass.send = pass.receive + rows;
        if (l + 1 < num_layers()) pass.result = buffer(l);
      }
      if (l + 1 == num_layers()) pass.result = result.From(c.first_row);
      blocks.ForEachBlock(c, 1, [&](int64_t, int64_t, int64_t first, int64_t last) {
        best.between_modalities(pass, first, last);
      });
      blocks.ForEachBlock(c, num_modalities_, [&](int64_t k, int64_t, int64_t first, int64_t last) {
        AddWithinModality(pass, c, k, first, last);
      });
    }
  });
}

void HighFrequencyLayers::AddWithinModality(const kernels::HighFrequencyPass& pass,
                                            const Conversation& c, int64_t k, int64_t first,
                                            int64_t last) const {
  const kernels::HighFrequencyKernels& best = kernels::BestHighFrequencyKernels();
  if (!by_rows()) {
    best.within_modality(pass, k, first, last);
    return;
  }
  const kernels::Scratch norms((last - first) * c.length);
  MakeNorms(c, first, last, norms.get());
  kernels::HighFrequencyPass part = pass;
  part.within = norms.get();
  part.within_first = first;
  best.within_modality(part, k, first, last);
}

void HighFrequencyLayers::MakeNorms(const Conversation& c, int64_t first, int64_t last,
                                    float* norms) const {
  const Tensor context = graph_.context[c.number];
  const int64_t row_stride = context.stride(0), stride = context.stride(1);
  const float* const scale = graph_.scale.data_ptr<float>() + c.first_row;
  for (int64_t i = first; i < last; ++i) {
    const bool* const edges = context.data_ptr<bool>() + i * row_stride;
    float* const row = norms + (i - first) * c.length;
    for (int64_t j = 0; j < c.length; ++j) row[j] = edges[j * stride] ? scale[i] * scale[j] : 0;
    row[i] = 0;
  }
}

Tensor HighFrequencyLayers::Backward(const ConversationBlocks& blocks,
                                     const kernels::GraphRows<const float>& nodes, const Kept& kept,
                                     const kernels::GraphRows<const float>& d_result,
                                     const kernels::GraphRows<float>& d_nodes) const {
  CountPasses(blocks, /*products=*/2, /*tensors=*/2 + static_cast<double>(num_layers()));
  const kernels::HighFrequencyKernels& best = kernels::BestHighFrequencyKernels();
  const int64_t gate_size = 2 * width_ + 1;
  const Tensor d_gates = torch::zeros({num_layers(), blocks.num_blocks(), gate_size});
  auto* const all_d_gates = d_gates.data_ptr<float>();
  blocks.ForEachConversation([&](const Conversation& c) {
    const int64_t rows = num_modalities_ * c.length;
    const kernels::Scratch scratch(2 * rows * (width_ + 1) + rows * c.num_blocks);
    float* const d_arguments = scratch.get() + 2 * rows * width_;
    float* const d_receive_parts = d_arguments + 2 * rows;  // [M, blocks, n]
    const auto part_of = [&](int64_t k, int64_t block) {
      return d_receive_parts + (k * c.num_blocks + block) * c.length;
    };
    const auto buffer = [&](int64_t l) {
      return kernels::RowsIn(scratch.get() + l % 2 * rows * width_, num_modalities_, c.length,
                             width_);
    };
    for (int64_t l = num_layers(); l-- > 0;) {
      kernels::HighFrequencyPass pass = Pass(c, l);
      pass.nodes = nodes.From(c.first_row);
      Use(kept, blocks, c, l, pass);
      pass.d_result = d_result.From(c.first_row);
      if (l + 1 < num_layers()) pass.d_result = buffer(l + 1);
      pass.d_nodes = l == 0 ? d_nodes.From(c.first_row) : buffer(l);
      pass.d_receive = d_arguments;
      pass.d_send = d_arguments + rows;
      blocks.ForEachBlock(c, num_modalities_,
                          [&](int64_t k, int64_t block, int64_t first, int64_t last) {
                            best.within_modality_backward(pass, k, first, last, part_of(k, block));
                          });
      for (int64_t k = 0; k < num_modalities_; ++k) {
        float* sum = pass.d_receive + k * c.length;
        std::fill_n(sum, c.length, 0.0F);
        for (int64_t block = 0; block < c.num_blocks; ++block) {
          const float* part = part_of(k, block);
          for (int64_t i = 0; i < c.length; ++i) sum[i] += part[i];
        }
      }
      float* const d_gate = all_d_gates + (l * blocks.num_blocks() + c.first_block) * gate_size;
      blocks.ForEachBlock(c, 1, [&](int64_t, int64_t block, int64_t first, int64_t last) {
        best.between_modalities_backward(pass, first, last, d_gate + block * gate_size);
      });
    }
  });
  return d_gates.sum(1);
}

kernels::HighFrequencyPass HighFrequencyLayers::Pass(const Conversation& c, int64_t l) const {
  kernels::HighFrequencyPass pass{};
  pass.num_modalities = num_modalities_;
  pass.length = c.length;
  pass.width = width_;
  if (!by_rows()) pass.within = graph_.within.data_ptr<float>() + c.first_pair;
  pass.between = graph_.between.data_ptr<float>() + c.first_row;
  pass.receive_weight = gates_[2 * l].data_ptr<float>();
  pass.send_weight = pass.receive_weight + width_;
  pass.bias = *gates_[2 * l + 1].data_ptr<float>();
  return pass;
}

void HighFrequencyLayers::Use(const Kept& kept, const ConversationBlocks& blocks,
                              const Conversation& c, int64_t l,
                              kernels::HighFrequencyPass& pass) const {
  if (l > 0) pass.nodes = NodesAfter(kept.nodes, c, l - 1);
  const int64_t all_rows = num_modalities_ * blocks.num_rows();
  pass.receive =
      kept.arguments.data_ptr<float>() + 2 * l * all_rows + num_modalities_ * c.first_row;
  pass.send = pass.receive + all_rows;
}

void HighFrequencyLayers::CountPasses(const ConversationBlocks& blocks, double products,
                                      double tensors) const {
  const auto num_nodes = static_cast<double>(num_modalities_ * blocks.num_rows());
  const double pairs = static_cast<double>(num_modalities_ * blocks.num_pairs()) +
                       static_cast<double>(num_modalities_ - 1) * num_nodes + 2 * num_nodes;
  const auto width = static_cast<double>(width_);
  CountWork(2 * products * static_cast<double>(num_layers()) * pairs * width,
            sizeof(float) * tensors * num_nodes * width);
}

}  // namespace cmerc
