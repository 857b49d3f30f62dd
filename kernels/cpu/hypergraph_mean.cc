#include "kernels/hypergraph_mean.h"

#include <algorithm>

#include "kernels/cpu/hypergraph_kernels.h"
#include "kernels/cpu/scratch.h"

namespace cmerc::kernels {
namespace {

template <typename T>
GraphRows<T> RowsFrom(const ModalityRows<T>& rows, int64_t num_modalities, int64_t first) {
  GraphRows<T> result{{}, rows.row_stride};
  for (int64_t k = 0; k < num_modalities; ++k) result.first.push_back(rows.Row(k, first));
  return result;
}

// One number per modality and row.
template <typename T>
ModalityRows<T> NumbersIn(T* numbers, const Sequences& sequences) {
  return {numbers, sequences.num_rows, 1};
}

// Calls f(pass, s, first row, length) for every sequence.
template <typename F>
void ForEachPass(const HypergraphMean& arguments, const F& f) {
  const Sequences& sequences = arguments.sequences;
  const int64_t num_modalities = arguments.num_modalities;
  const Scratch sums(num_modalities * arguments.width);
  for (int64_t s = 0; s < sequences.count; ++s) {
    const int64_t first = sequences.first_row[s];
    const int64_t length = sequences.first_row[s + 1] - first;
    HypergraphPass pass{};
    pass.num_modalities = num_modalities;
    pass.width = arguments.width;
    for (int64_t k = 0; k < num_modalities; ++k) {
      pass.modality.push_back(arguments.modality[k * sequences.count + s]);
    }
    pass.utterance = arguments.utterance + first;
    pass.node = RowsFrom(NumbersIn(arguments.node, sequences), num_modalities, first);
    pass.bias = arguments.bias;
    pass.nodes = RowsFrom(arguments.nodes, num_modalities, first);
    BestHypergraphKernels().sum_nodes(pass, 0, length, sums.get());
    pass.sums = sums.get();
    f(pass, s, first, length);
  }
}

}  // namespace

void RunHypergraphMean(const HypergraphMean& arguments) {
  ForEachPass(arguments, [&](HypergraphPass& pass, int64_t, int64_t first, int64_t length) {
    pass.result = RowsFrom(arguments.result, pass.num_modalities, first);
    BestHypergraphKernels().forward(pass, 0, length);
  });
}

void RunHypergraphMeanBackward(const HypergraphMean& arguments) {
  const Sequences& sequences = arguments.sequences;
  const int64_t num_modalities = arguments.num_modalities, width = arguments.width;
  const Scratch d_sums(sequences.longest * width), d_means(num_modalities * width);
  // The loops add to these.
  std::fill_n(arguments.d_utterance, sequences.num_rows, 0.0F);
  std::fill_n(arguments.d_node, num_modalities * sequences.num_rows, 0.0F);
  std::fill_n(arguments.d_bias, width, 0.0F);
  ForEachPass(arguments, [&](HypergraphPass& pass, int64_t s, int64_t first, int64_t length) {
    pass.activated = RowsFrom(arguments.activated, num_modalities, first);
    pass.d_result = RowsFrom(arguments.d_result, num_modalities, first);
    pass.d_utterance = arguments.d_utterance + first;
    pass.d_node = RowsFrom(NumbersIn(arguments.d_node, sequences), num_modalities, first);
    pass.d_sums = d_sums.get();
    pass.d_nodes = RowsFrom(arguments.d_nodes, num_modalities, first);
    std::fill_n(d_means.get(), num_modalities * width, 0.0F);
    BestHypergraphKernels().backward(pass, 0, length, d_means.get(), arguments.d_bias);
    for (int64_t k = 0; k < num_modalities; ++k) {
      double along = 0;
      for (int64_t h = k * width; h < (k + 1) * width; ++h)
        along += d_means.get()[h] * pass.sums[h];
      arguments.d_modality[k * sequences.count + s] = static_cast<float>(along);
    }
    BestHypergraphKernels().finish_backward(pass, 0, length, d_means.get(), /*add=*/false);
  });
}

}  // namespace cmerc::kernels
