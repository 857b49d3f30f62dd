// GRU cells that are stepped by hand, where what enters a step depends on more than one state: the
// elementwise part, forward and backward, for blocks of rows. Products are the caller's.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_GRU_ROWS_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_GRU_ROWS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "torch/types.h"

namespace cmerc {

// A row of a matrix on the CPU whose rows are dense.
template <typename T>
T* RowOf(const torch::Tensor& rows, int64_t row) {
  return rows.data_ptr<T>() + row * rows.stride(0);
}

// to[k] = from[sources[k]], or zero where that is -1, for k in [first, first + count).
template <typename T>
void Gather(const torch::Tensor& from, const std::vector<int64_t>& sources, int64_t first,
            int64_t count, const torch::Tensor& to) {
  const int64_t size = from.size(1);
  for (int64_t k = first; k < first + count; ++k) {
    if (sources[k] < 0) {
      std::fill_n(RowOf<T>(to, k), size, T(0));
    } else {
      std::copy_n(RowOf<T>(from, sources[k]), size, RowOf<T>(to, k));
    }
  }
}

// A GRU cell over all its rows: what it computes, and what its backward pass needs.
struct GruRows {
  GruRows(int64_t rows, int64_t width, const torch::TensorOptions& options, double dropout)
      : width(width),
        reset_update(torch::empty({rows, 2 * width}, options)),
        fresh(torch::empty({rows, width}, options)),
        gated(torch::empty({rows, width}, options)),
        states(torch::empty({rows, width}, options)) {
    if (dropout > 0) {
      mask = torch::empty({rows, width}, options).bernoulli_(1 - dropout).div_(1 - dropout);
    }
  }

  int64_t width;               // W
  torch::Tensor reset_update;  // [rows, 2 W] both gates
  torch::Tensor fresh;         // [rows, W] the new gate
  torch::Tensor gated;         // [rows, W] what the reset gate multiplies
  torch::Tensor states;        // [rows, W] the new states, after dropout
  torch::Tensor mask;          // [rows, W] their factors; undefined without dropout
};

// torch.nn.GRUCell for the rows [first, first + count). For row first + i: input(i) + more(i) [3 W]
// come from its inputs; sums [count, 3 W] are the products of `before` [count, W], its states, with
// weight_hh; `bias` [3 W] is bias_hh.
template <typename T, typename Input, typename More>
void Advance(GruRows& cell, int64_t first, int64_t count, const torch::Tensor& bias,
             const Input& input, const More& more, const torch::Tensor& sums,
             const torch::Tensor& before) {
  const int64_t width = cell.width;
  const T* const b = bias.data_ptr<T>();
  for (int64_t i = 0; i < count; ++i) {
    const T* const x = input(i);
    const T* const y = more(i);
    const T* const sum = RowOf<T>(sums, i);
    T* const gates = RowOf<T>(cell.reset_update, first + i);
    T* const gated = RowOf<T>(cell.gated, first + i);
#pragma omp simd
    for (int64_t j = 0; j < 2 * width; ++j) gates[j] = x[j] + y[j] + sum[j] + b[j];
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) gated[j] = sum[2 * width + j] + b[2 * width + j];
  }
  cell.reset_update.narrow(0, first, count).sigmoid_();
  for (int64_t i = 0; i < count; ++i) {
    const T* const x = input(i) + 2 * width;
    const T* const y = more(i) + 2 * width;
    const T* const reset = RowOf<T>(cell.reset_update, first + i);
    const T* const gated = RowOf<T>(cell.gated, first + i);
    T* const fresh = RowOf<T>(cell.fresh, first + i);
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) fresh[j] = x[j] + y[j] + reset[j] * gated[j];
  }
  cell.fresh.narrow(0, first, count).tanh_();
  for (int64_t i = 0; i < count; ++i) {
    const T* const update = RowOf<T>(cell.reset_update, first + i) + width;
    const T* const fresh = RowOf<T>(cell.fresh, first + i);
    const T* const hidden = RowOf<T>(before, i);
    T* const state = RowOf<T>(cell.states, first + i);
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) {
      state[j] = (hidden[j] - fresh[j]) * update[j] + fresh[j];
    }
  }
  if (cell.mask.defined()) {
    cell.states.narrow(0, first, count).mul_(cell.mask.narrow(0, first, count));
  }
}

// The gradients of Advance. d_states [rows of the cell, W] holds those of the new states in the
// same rows, and then what goes to the states before directly. For row first + i, writes the
// gradients of its inputs to d_input(i) [3 W] and of its sums to d_sums(i) [3 W].
template <typename T, typename Input, typename Sums>
void Retreat(const GruRows& cell, int64_t first, int64_t count, const torch::Tensor& before,
             const torch::Tensor& d_states, const Input& d_input, const Sums& d_sums) {
  const int64_t width = cell.width;
  if (cell.mask.defined()) {
    d_states.narrow(0, first, count).mul_(cell.mask.narrow(0, first, count));
  }
  for (int64_t i = 0; i < count; ++i) {
    const T* const reset = RowOf<T>(cell.reset_update, first + i);
    const T* const update = reset + width;
    const T* const fresh = RowOf<T>(cell.fresh, first + i);
    const T* const gated = RowOf<T>(cell.gated, first + i);
    const T* const hidden = RowOf<T>(before, i);
    T* const d_state = RowOf<T>(d_states, first + i);
    T* const d_x = d_input(i);
    T* const d_sum = d_sums(i);
#pragma omp simd
    for (int64_t j = 0; j < width; ++j) {
      const T gradient = d_state[j];
      const T d_fresh = gradient * (1 - update[j]) * (1 - fresh[j] * fresh[j]);
      const T d_reset = d_fresh * gated[j] * reset[j] * (1 - reset[j]);
      const T d_update = gradient * (hidden[j] - fresh[j]) * update[j] * (1 - update[j]);
      d_x[j] = d_reset;
      d_x[width + j] = d_update;
      d_x[2 * width + j] = d_fresh;
      d_sum[j] = d_reset;
      d_sum[width + j] = d_update;
      d_sum[2 * width + j] = d_fresh * reset[j];
      d_state[j] = gradient * update[j];
    }
  }
}

}  // namespace cmerc

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_GRU_ROWS_H_
