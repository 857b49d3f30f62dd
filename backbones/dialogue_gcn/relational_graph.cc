#include "backbones/dialogue_gcn/relational_graph.h"

#include <torch/csrc/autograd/custom_function.h>

#include <limits>
#include <tuple>
#include <vector>

#include "backbones/layers/float32.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// f(r, first row, number of rows) for each of the groups whose sizes are counts [R].
template <typename F>
void ForEachGroup(const Tensor& counts, F&& f) {
  const int64_t* sizes = counts.data_ptr<int64_t>();
  int64_t start = 0;
  for (int64_t r = 0; r < counts.size(0); ++r) {
    f(r, start, sizes[r]);
    start += sizes[r];
  }
}

// rows [E, D] in R groups, weights [R, D, H], counts [R] on the CPU: each group times its weight,
// [E, H]. One node in the autograd graph however many groups there are.
struct GroupedProduct : torch::autograd::Function<GroupedProduct> {
  static Tensor forward(AutogradContext* context, const Tensor& rows, const Tensor& weights,
                        const Tensor& counts) {
    context->save_for_backward({rows, weights, counts});
    Tensor product = torch::empty({rows.size(0), weights.size(2)}, rows.options());
    ForEachGroup(counts, [&](int64_t r, int64_t start, int64_t count) {
      Tensor group = product.narrow(0, start, count);
      torch::mm_out(group, rows.narrow(0, start, count), weights[r]);
    });
    return product;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &rows = saved[0], &weights = saved[1], &counts = saved[2];
    const Tensor to_rows = GroupedProduct::apply(gradients[0], weights.transpose(1, 2), counts);
    Tensor to_weights = torch::empty_like(weights);
    ForEachGroup(counts, [&](int64_t r, int64_t start, int64_t count) {
      Tensor group = to_weights[r];
      torch::mm_out(group, rows.narrow(0, start, count).t(), gradients[0].narrow(0, start, count));
    });
    return {to_rows, to_weights, Tensor()};
  }
};

// Beyond so many speakers, waiting costs less than the slots that have no edges.
constexpr int64_t kFewSpeakers = 16;

// Every slot, whether it has edges or not.
Relations AllRelations(const Tensor& speakers, int64_t num_speakers, const Packing& packing) {
  const Tensor everyone = torch::arange(num_speakers, speakers.options());
  const Tensor pairs =
      2 * (everyone.view({1, 1, -1}) * num_speakers + speakers.unsqueeze(2));  // [B, T, S]
  return {speakers.unsqueeze(2).eq(everyone).logical_and(packing.valid().unsqueeze(2)), Tensor(),
          torch::stack({pairs, pairs + 1}).flatten(), Tensor()};
}

// sums [E, D], relations [E]: each row times the weight of its relation, [E, H], by way of its
// product with every basis.
Tensor ByBases(const Tensor& sums, const Tensor& relations, const Tensor& basis,
               const Tensor& coefficients) {
  const Tensor products =
      sums.mm(basis.transpose(0, 1).flatten(1)).view({sums.size(0), basis.size(0), -1});
  return coefficients.index_select(0, relations).unsqueeze(1).bmm(products).squeeze(1);
}

}  // namespace

Tensor WindowEdges(const Tensor& context, int64_t past, int64_t future, int64_t first) {
  Tensor edges = context;
  if (past >= 0) edges = edges.triu(first - past);
  if (future >= 0) edges = edges.tril(first + future);
  return edges;
}

Tensor EdgeAttention(const Tensor& queries, const Tensor& x, const Tensor& edges) {
  const Tensor scores = Float32(queries.bmm(x.transpose(1, 2)));
  // Not minus infinity: a row without edges (padding) must not become a NaN.
  return scores.masked_fill(edges.logical_not(), std::numeric_limits<float>::lowest()).softmax(2) *
         edges;
}

Tensor OfficialEdgeAttention(const Tensor& x, const Tensor& weight, const Tensor& edges) {
  constexpr double kNoEdge = 1e-10;
  const int64_t length = x.size(1);
  TORCH_CHECK_VALUE(length <= weight.size(0),
                    "DialogueGCN with semantics: OFFICIAL has edge attention for max_length = ",
                    weight.size(0), " utterances, and this batch has a conversation of ", length,
                    "; raise max_length, or use semantics: CORRECTED, which has no limit");
  const Tensor mask = edges.to(x.scalar_type());
  const Tensor masses =
      Float32(torch::linear(x, weight.narrow(0, 0, length))).softmax(1) * mask.clamp_min(kNoEdge);
  return masses / masses.sum(1, /*keepdim=*/true) * mask;
}

Relations MakeRelations(const LazyRows& edges, const Tensor& speakers, int64_t num_speakers,
                        const Packing& packing) {
  if (!speakers.is_cpu() && num_speakers <= kFewSpeakers) {
    return AllRelations(speakers, num_speakers, packing);
  }
  const Tensor& valid = packing.valid();
  // [B, S]: who speaks in a conversation, and as which of its speakers.
  const Tensor present = torch::zeros({speakers.size(0), num_speakers}, packing.weights().options())
                             .scatter_add_(1, speakers, packing.weights())
                             .gt(0);
  const Tensor numbers = present.cumsum(1) - 1;
  const int64_t num_local = present.sum(1).max().item<int64_t>();
  const Tensor local_speakers =  // [B, L]
      std::get<1>(present.to(torch::kUInt8).sort(/*stable=*/true, /*dim=*/1, /*descending=*/true))
          .narrow(1, 0, num_local);

  Relations result;
  result.members = numbers.gather(1, speakers)
                       .unsqueeze(2)
                       .eq(torch::arange(num_local, speakers.options()))
                       .logical_and(valid.unsqueeze(2));
  // [2, B, T, L]: edges from earlier utterances, then those from the same and later ones.
  const Tensor members = result.members.to(torch::kFloat32);
  const Tensor has_edges = edges.blocks().Gather(2, [&](int64_t first, int64_t count) {
    const Tensor of_rows = edges.Rows(first, count);
    return torch::stack({of_rows.tril(first - 1).to(torch::kFloat32).bmm(members),
                         of_rows.triu(first).to(torch::kFloat32).bmm(members)})
        .gt(0);
  });
  const Tensor pairs =
      2 * (local_speakers.unsqueeze(1) * num_speakers + speakers.unsqueeze(2));  // [B, T, L]
  const Tensor slots = has_edges.flatten().nonzero().squeeze(1);
  const Tensor types = torch::stack({pairs, pairs + 1}).flatten().index_select(0, slots);
  const auto [sorted, order] = types.sort(/*stable=*/true, /*dim=*/0, /*descending=*/false);
  result.slots = slots.index_select(0, order);
  Tensor inverse;
  std::tie(result.relations, inverse, result.counts) =
      torch::unique_consecutive(sorted, /*return_inverse=*/false, /*return_counts=*/true);
  result.counts = result.counts.cpu();
  return result;
}

Tensor RelationalConvolution(const Tensor& x, const LazyRows& alpha, const Relations& relations,
                             const Tensor& basis, const Tensor& coefficients) {
  const int64_t num_conversations = x.size(0), length = x.size(1), width = x.size(2);
  const int64_t num_local = relations.members.size(2), num_out = basis.size(2);
  // [B, T, L D]: utterance j in the columns of its speaker.
  const Tensor columns = (relations.members.unsqueeze(3) * x.unsqueeze(2)).flatten(2);
  const Tensor sums = alpha.blocks()
                          .Gather(2,
                                  [&](int64_t first, int64_t count) {
                                    const Tensor of_rows = alpha.Rows(first, count);
                                    return torch::stack({of_rows.tril(first - 1).bmm(columns),
                                                         of_rows.triu(first).bmm(columns)});
                                  })
                          .view({2 * num_conversations * length * num_local, width});
  const auto add_up = [&](const Tensor& messages) {
    return messages.view({2, num_conversations, length, num_local, num_out})
        .sum(torch::IntArrayRef({0, 3}));
  };
  if (!relations.slots.defined()) {
    return add_up(ByBases(sums, relations.relations, basis, coefficients));
  }
  const Tensor weights =
      SelectRows(coefficients, relations.relations).mm(basis.flatten(1)).view({-1, width, num_out});
  const Tensor messages =
      GroupedProduct::apply(SelectRows(sums, relations.slots), weights, relations.counts);
  return add_up(PlaceRows(messages, relations.slots, sums.size(0)));
}

Tensor RelationalConvolutionByRows(const Tensor& x, const LazyRows& alpha,
                                   const Relations& relations, const Tensor& basis,
                                   const Tensor& coefficients) {
  const int64_t num_conversations = x.size(0), length = x.size(1), width = x.size(2);
  const int64_t num_local = relations.members.size(2), num_out = basis.size(2);
  // One product for each speaker, whatever their number.
  std::vector<Tensor> of_speakers;
  for (int64_t l = 0; l < num_local; ++l) {
    const Tensor rows = relations.members.select(2, l).unsqueeze(2) * x;
    of_speakers.push_back(alpha.blocks().Gather(2, [&](int64_t first, int64_t count) {
      const Tensor of_rows = alpha.Rows(first, count);
      return torch::stack({of_rows.tril(first - 1).bmm(rows), of_rows.triu(first).bmm(rows)});
    }));
  }
  const Tensor sums = torch::stack(of_speakers, 3)  // [2, B, T, L, D]
                          .view({2 * num_conversations * length * num_local, width})
                          .index_select(0, relations.slots);
  const Tensor bases = basis.flatten(1);
  const auto* const relation = relations.relations.data_ptr<int64_t>();
  const Tensor messages = torch::empty({sums.size(0), num_out}, sums.options());
  ForEachGroup(relations.counts, [&](int64_t r, int64_t start, int64_t count) {
    const Tensor weight = coefficients.narrow(0, relation[r], 1).mm(bases).view({width, num_out});
    for (int64_t row = start; row < start + count; ++row) {
      Tensor message = messages.narrow(0, row, 1);
      torch::mm_out(message, sums.narrow(0, row, 1), weight);
    }
  });
  const Tensor slots =
      PlaceRows(messages, relations.slots, 2 * num_conversations * length * num_local)
          .view({2, num_conversations, length, num_local, num_out});
  Tensor total = torch::zeros({num_conversations, length, num_out}, x.options());
  for (int64_t time = 0; time < 2; ++time) {
    for (int64_t l = 0; l < num_local; ++l) total += slots[time].select(2, l);
  }
  return total;
}

Tensor GatherByEdges(const Tensor& x, const LazyRows& edges) {
  return edges.blocks().Gather(1, [&](int64_t first, int64_t count) {
    return edges.Rows(first, count).to(torch::kFloat32).bmm(x);
  });
}

}  // namespace cmerc
