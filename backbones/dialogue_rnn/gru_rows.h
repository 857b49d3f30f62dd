// GRU cells that are stepped by hand, where what enters a step depends on more than one state.
// Matrix products are left to the caller.
#ifndef CMERC_BACKBONES_DIALOGUE_RNN_GRU_ROWS_H_
#define CMERC_BACKBONES_DIALOGUE_RNN_GRU_ROWS_H_

#include <cstdint>
#include <utility>

#include "absl/functional/function_ref.h"
#include "backbones/dialogue_rnn/dialogue_plan.h"
#include "kernels/cpu/dialogue_rnn_kernels.h"
#include "torch/types.h"

namespace cmerc::dialogue_rnn {

// The start of a row of a matrix on the CPU whose rows are dense.
template <typename T>
T* RowOf(const torch::Tensor& rows, int64_t row) {
  return rows.data_ptr<T>() + row * rows.stride(0);
}

// A GRU cell over all its rows: what it computes, and what its backward pass needs.
class GruRows {
 public:
  // mask: [rows, W], the factors of dropout; undefined without it.
  GruRows(int64_t rows, int64_t width, const torch::TensorOptions& options, torch::Tensor mask);

  // The new states [rows, W], after dropout.
  const torch::Tensor& states() const { return states_; }

  // Steps torch.nn.GRUCell for these rows. The i-th of them gets input(i) + more(i) [3 W] from its
  // inputs; sums [count, 3 W] are the products of `before` [count, W], the states before, with
  // weight_hh; `bias` [3 W] is bias_hh. T is that of all tensors.
  template <typename T>
  void Forward(const DialoguePlan::Block& rows, const torch::Tensor& bias,
               absl::FunctionRef<const T*(int64_t)> input,
               absl::FunctionRef<const T*(int64_t)> more, const torch::Tensor& sums,
               const torch::Tensor& before);

  // Steps back. d_states [rows of the cell, W] holds the gradients of the new states, and then what
  // goes to the states before directly. Of the i-th row, writes the gradient of its inputs to
  // d_input(i) [3 W] and that of its sums to d_sums(i) [3 W].
  template <typename T>
  void Backward(const DialoguePlan::Block& rows, const torch::Tensor& before,
                const torch::Tensor& d_states, absl::FunctionRef<T*(int64_t)> d_input,
                absl::FunctionRef<T*(int64_t)> d_sums) const;

 private:
  int64_t width_;         // W
  torch::Tensor gates_;   // [rows, 2 W], reset and update
  torch::Tensor fresh_;   // [rows, W], the new gate
  torch::Tensor gated_;   // [rows, W], what the reset gate multiplies
  torch::Tensor states_;  // [rows, W]
  torch::Tensor mask_;    // [rows, W], or undefined
};

inline GruRows::GruRows(int64_t rows, int64_t width, const torch::TensorOptions& options,
                        torch::Tensor mask)
    : width_(width),
      gates_(torch::empty({rows, 2 * width}, options)),
      fresh_(torch::empty({rows, width}, options)),
      gated_(torch::empty({rows, width}, options)),
      states_(torch::empty({rows, width}, options)),
      mask_(std::move(mask)) {}

template <typename T>
void GruRows::Forward(const DialoguePlan::Block& rows, const torch::Tensor& bias,
                      absl::FunctionRef<const T*(int64_t)> input,
                      absl::FunctionRef<const T*(int64_t)> more, const torch::Tensor& sums,
                      const torch::Tensor& before) {
  const int64_t first = rows.first;
  const int64_t count = rows.count;
  const auto inputs_of = [&](int64_t i) {
    return kernels::GruInputs<T>{input(i), more(i), RowOf<T>(sums, i), bias.data_ptr<T>()};
  };
  for (int64_t i = 0; i < count; ++i) {
    kernels::StartGruGates(inputs_of(i), width_, RowOf<T>(gates_, first + i),
                           RowOf<T>(gated_, first + i));
  }
  gates_.narrow(0, first, count).sigmoid_();
  for (int64_t i = 0; i < count; ++i) {
    kernels::StartGruFresh(inputs_of(i), RowOf<T>(gates_, first + i), RowOf<T>(gated_, first + i),
                           width_, RowOf<T>(fresh_, first + i));
  }
  fresh_.narrow(0, first, count).tanh_();
  for (int64_t i = 0; i < count; ++i) {
    kernels::FinishGruState(RowOf<T>(gates_, first + i) + width_, RowOf<T>(fresh_, first + i),
                            RowOf<T>(before, i), width_, RowOf<T>(states_, first + i));
  }
  if (mask_.defined()) {
    states_.narrow(0, first, count).mul_(mask_.narrow(0, first, count));
  }
}

template <typename T>
void GruRows::Backward(const DialoguePlan::Block& rows, const torch::Tensor& before,
                       const torch::Tensor& d_states, absl::FunctionRef<T*(int64_t)> d_input,
                       absl::FunctionRef<T*(int64_t)> d_sums) const {
  if (mask_.defined()) {
    d_states.narrow(0, rows.first, rows.count).mul_(mask_.narrow(0, rows.first, rows.count));
  }
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t row = rows.first + i;
    const kernels::GruRow<T> left = {RowOf<T>(gates_, row), RowOf<T>(fresh_, row),
                                     RowOf<T>(gated_, row), RowOf<T>(before, i)};
    kernels::GruRowBackward(left, width_, RowOf<T>(d_states, row), d_input(i), d_sums(i));
  }
}

}  // namespace cmerc::dialogue_rnn

#endif  // CMERC_BACKBONES_DIALOGUE_RNN_GRU_ROWS_H_
