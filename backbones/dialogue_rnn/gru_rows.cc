#include "backbones/dialogue_rnn/gru_rows.h"

#include "kernels/cpu/dialogue_rnn_kernels.h"

namespace cmerc::dialogue_rnn {

using torch::Tensor;

GruRows::GruRows(int64_t rows, int64_t width, const torch::TensorOptions& options, double dropout)
    : width_(width),
      gates_(torch::empty({rows, 2 * width}, options)),
      fresh_(torch::empty({rows, width}, options)),
      gated_(torch::empty({rows, width}, options)),
      states_(torch::empty({rows, width}, options)) {
  if (dropout > 0) {
    mask_ = torch::empty({rows, width}, options).bernoulli_(1 - dropout).div_(1 - dropout);
  }
}

template <typename T>
void GruRows::Forward(const DialoguePlan::Block& rows, const Tensor& bias,
                      absl::FunctionRef<const T*(int64_t)> input,
                      absl::FunctionRef<const T*(int64_t)> more, const Tensor& sums,
                      const Tensor& before) {
  const int64_t first = rows.first;
  const int64_t count = rows.count;
  const auto inputs_of = [&](int64_t i) {
    return GruInputs<T>{input(i), more(i), RowOf<T>(sums, i), bias.data_ptr<T>()};
  };
  for (int64_t i = 0; i < count; ++i) {
    StartGruGates(inputs_of(i), width_, RowOf<T>(gates_, first + i), RowOf<T>(gated_, first + i));
  }
  gates_.narrow(0, first, count).sigmoid_();
  for (int64_t i = 0; i < count; ++i) {
    StartGruFresh(inputs_of(i), RowOf<T>(gates_, first + i), RowOf<T>(gated_, first + i), width_,
                  RowOf<T>(fresh_, first + i));
  }
  fresh_.narrow(0, first, count).tanh_();
  for (int64_t i = 0; i < count; ++i) {
    FinishGruState(RowOf<T>(gates_, first + i) + width_, RowOf<T>(fresh_, first + i),
                   RowOf<T>(before, i), width_, RowOf<T>(states_, first + i));
  }
  if (mask_.defined()) {
    states_.narrow(0, first, count).mul_(mask_.narrow(0, first, count));
  }
}

template <typename T>
void GruRows::Backward(const DialoguePlan::Block& rows, const Tensor& before,
                       const Tensor& d_states, absl::FunctionRef<T*(int64_t)> d_input,
                       absl::FunctionRef<T*(int64_t)> d_sums) const {
  if (mask_.defined()) {
    d_states.narrow(0, rows.first, rows.count).mul_(mask_.narrow(0, rows.first, rows.count));
  }
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t row = rows.first + i;
    const GruRow<T> left = {RowOf<T>(gates_, row), RowOf<T>(fresh_, row), RowOf<T>(gated_, row),
                            RowOf<T>(before, i)};
    GruRowBackward(left, width_, RowOf<T>(d_states, row), d_input(i), d_sums(i));
  }
}

#define CMERC_INSTANCES(T)                                                                     \
  template void GruRows::Forward<T>(                                                           \
      const DialoguePlan::Block&, const Tensor&, absl::FunctionRef<const T*(int64_t)>,         \
      absl::FunctionRef<const T*(int64_t)>, const Tensor&, const Tensor&);                     \
  template void GruRows::Backward<T>(const DialoguePlan::Block&, const Tensor&, const Tensor&, \
                                     absl::FunctionRef<T*(int64_t)>,                           \
                                     absl::FunctionRef<T*(int64_t)>) const
CMERC_INSTANCES(float);
CMERC_INSTANCES(double);
#undef CMERC_INSTANCES

}  // namespace cmerc::dialogue_rnn
