#include "kernels/gated_aggregation.h"

#include <algorithm>

#include "kernels/cpu/high_frequency_kernels.h"
#include "kernels/cpu/scratch.h"

namespace cmerc::kernels {
namespace {

template <typename T>
GraphRows<T> RowsFrom(const ModalityRows<T>& rows, int64_t k, int64_t first) {
  return {{rows.Row(k, first)}, rows.row_stride};
}

// within [n, n]: the n_ij of a sequence.
void Norms(const uint8_t* context, const float* scale, int64_t length, float* within) {
  for (int64_t i = 0; i < length; ++i) {
    for (int64_t j = 0; j < length; ++j) {
      const int64_t pair = i * length + j;
      within[pair] = context[pair] != 0 ? scale[i] * scale[j] : 0;
    }
  }
}

// Calls f(pass, k, first row) for every sequence and modality k, which is the only one of its pass:
// what a pass has one number of per modality and utterance is dense, but in a batch it is not.
template <typename F>
void ForEachPass(const GatedAggregation& arguments, const F& f) {
  const Sequences& sequences = arguments.sequences;
  const Scratch within(sequences.longest * sequences.longest);
  const Scratch gate_arguments(2 * sequences.longest);
  for (int64_t s = 0; s < sequences.count; ++s) {
    const int64_t first = sequences.first_row[s];
    HighFrequencyPass pass{};
    pass.num_modalities = 1;
    pass.length = sequences.first_row[s + 1] - first;
    pass.width = arguments.width;
    Norms(arguments.context + arguments.first_pair[s], arguments.scale + first, pass.length,
          within.get());
    pass.within = within.get();
    pass.receive = gate_arguments.get();
    pass.send = gate_arguments.get() + sequences.longest;
    for (int64_t k = 0; k < arguments.num_modalities; ++k) {
      const int64_t at = k * sequences.num_rows + first;
      std::copy_n(arguments.receive + at, pass.length, pass.receive);
      std::copy_n(arguments.send + at, pass.length, pass.send);
      pass.nodes = RowsFrom(arguments.x, k, first);
      f(pass, k, first);
    }
  }
}

}  // namespace

void RunGatedAggregation(const GatedAggregation& arguments) {
  ForEachPass(arguments, [&](HighFrequencyPass& pass, int64_t k, int64_t first) {
    pass.result = RowsFrom(arguments.result, k, first);
    BestHighFrequencyKernels().within_modality(pass, 0, 0, pass.length);
  });
}

void RunGatedAggregationBackward(const GatedAggregation& arguments) {
  ForEachPass(arguments, [&](HighFrequencyPass& pass, int64_t k, int64_t first) {
    const int64_t at = k * arguments.sequences.num_rows + first;
    pass.d_result = RowsFrom(arguments.d_result, k, first);
    pass.d_nodes = RowsFrom(arguments.d_x, k, first);
    pass.d_send = arguments.d_send + at;
    BestHighFrequencyKernels().within_modality_backward(pass, 0, 0, pass.length,
                                                        arguments.d_receive + at);
  });
}

}  // namespace cmerc::kernels
