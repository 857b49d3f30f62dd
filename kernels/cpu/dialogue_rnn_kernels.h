// The loops of DialogueRNN's recurrence on the CPU over rows of features, vectorized for what the
// processor offers. No LibTorch here.
//
// All functions exist for float and for double. A row is `width` values that are neighbors in
// memory. A row that a function writes overlaps none that it reads. Every operation is rounded by
// itself, and sums are in one order: the same bits on every processor.
#ifndef CMERC_KERNELS_CPU_DIALOGUE_RNN_KERNELS_H_
#define CMERC_KERNELS_CPU_DIALOGUE_RNN_KERNELS_H_

#include <cstdint>

namespace cmerc::kernels {

// to += factor * from
template <typename T>
void AddScaled(T factor, const T* from, int64_t width, T* to);

// One row of a torch.nn.GRUCell of width W. What enters it is three rows [3 W], with the gates in
// torch.nn's order: reset, update, new.
template <typename T>
struct GruInputs {
  const T* input;  // a part of weight_ih x + bias_ih
  const T* more;   // the rest of it
  const T* sums;   // weight_hh h
  const T* bias;   // bias_hh
};

// The first of three steps: gates [2 W] become the arguments of the sigmoids of reset and update,
// gated [W] what the reset gate will multiply.
template <typename T>
void StartGruGates(const GruInputs<T>& row, int64_t width, T* gates, T* gated);

// The second step, after the sigmoids: fresh [W] becomes the argument of the new gate's tanh.
// `reset` is the first half of the gates.
template <typename T>
void StartGruFresh(const GruInputs<T>& row, const T* reset, const T* gated, int64_t width,
                   T* fresh);

// The last step, after the tanh: state = (1 - update) fresh + update before. `update` is the second
// half of the gates.
template <typename T>
void FinishGruState(const T* update, const T* fresh, const T* before, int64_t width, T* state);

// What the three steps left of a row, for its gradient.
template <typename T>
struct GruRow {
  const T* gates;   // [2 W], after the sigmoids
  const T* fresh;   // [W], after the tanh
  const T* gated;   // [W]
  const T* before;  // [W]
};

// d_state holds the gradient of the new state, and afterwards the part of it that goes to the state
// before directly. Writes the gradients of the row's inputs, d_input [3 W] for `input` and `more`
// alike, and d_sums [3 W].
template <typename T>
void GruRowBackward(const GruRow<T>& row, int64_t width, T* d_state, T* d_input, T* d_sums);

// Who asks for earlier states of a conversation. Those lie in a dense matrix [any, width].
template <typename T>
struct AttentionQuery {
  const T* vector;       // [width]
  const int64_t* state;  // [count] the row of each earlier state; negative: outside the context
  int64_t count;
  int64_t width;
};

// gathered [width] = sum_k alpha[k] states[query.state[k]], where alpha [count] is the softmax of
// query.vector . states[query.state[k]] over the states in context, and 0 for the others. Without
// any in context, gathered is 0.
template <typename T>
void Attend(const AttentionQuery<T>& query, const T* states, T* alpha, T* gathered);

// The gradient of Attend: adds to the rows of d_states that alpha weighs, and writes d_query
// [width]. `scratch` [count] is overwritten.
template <typename T>
void AttendBackward(const AttentionQuery<T>& query, const T* states, const T* alpha,
                    const T* d_gathered, T* scratch, T* d_states, T* d_query);

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CPU_DIALOGUE_RNN_KERNELS_H_
