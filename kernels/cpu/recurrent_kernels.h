// The sequential part of recurrent layers on the CPU, vectorized for what the processor offers.
// No LibTorch here: pointers to float32 in memory.
//
// Letters: H hidden size, G gates of a cell (GRU 3: reset, update, new; LSTM 4: input, forget,
// cell, output; torch.nn's order and formulas). A row is one utterance.
#ifndef CMERC_KERNELS_CPU_RECURRENT_KERNELS_H_
#define CMERC_KERNELS_CPU_RECURRENT_KERNELS_H_

#include <cstdint>

namespace cmerc::kernels {

enum class RecurrentCell { kGru, kLstm };

// Where the conversations are: positions starts[j] to starts[j] + lengths[j] - 1. Longest first.
struct ConversationRows {
  const int64_t* starts;
  const int64_t* lengths;  // each >= 1
  int64_t count;
  // The row at each position; null: position p is row p.
  const int64_t* rows = nullptr;

  int64_t Row(int64_t position) const { return rows == nullptr ? position : rows[position]; }
};

// Rows of one direction, which lie `stride` floats apart.
template <typename T>
struct StridedRows {
  T* data = nullptr;
  int64_t stride = 0;

  T* operator[](int64_t row) const { return data + row * stride; }
};

// c = a * b, or c += a * b. Either may be the transpose of what lies in memory: of the strides of
// a, one is 1, and so of b.
struct MatrixProduct {
  int64_t rows;     // of a and c
  int64_t columns;  // of b and c
  int64_t depth;    // columns of a, rows of b
  const float* a;
  int64_t a_row_stride;
  int64_t a_depth_stride;
  const float* b;
  int64_t b_depth_stride;
  int64_t b_column_stride;
  float* c;
  int64_t c_row_stride;  // neighbors in a row are neighbors in memory
  bool accumulate;
};

struct RecurrentForward {
  int64_t hidden_size;
  bool reverse;  // from the last utterance to the first
  const float* packed_weights;
  // [rows, G * H]. In: input * weight_ih^T, without bias. Out, where `kept` is set: the gates.
  StridedRows<float> gates;
  // [rows, H], or null when no backward pass follows. Out: GRU, what the reset gate multiplies;
  // LSTM, the cell state.
  StridedRows<float> kept;
  StridedRows<float> output;  // [rows, H]
};

struct RecurrentBackward {
  int64_t hidden_size;
  bool reverse;
  const float* packed_weights;
  // What the forward pass left.
  StridedRows<const float> gates;
  StridedRows<const float> kept;
  StridedRows<const float> output;
  StridedRows<const float> output_gradient;  // [rows, H]
  // Out: the gradient of input * weight_ih^T, [rows, G * H].
  StridedRows<float> gate_gradient;
  // Out, GRU only: the gradient of hidden * weight_hh^T of the new gate, [rows, H]. All the others'
  // are those of `gate_gradient`.
  StridedRows<float> new_gradient;
  // Out: the hidden state before each row's step, [rows, H].
  StridedRows<float> previous;
};

// The implementation for one kind of cell and one instruction set. An output element is a sum in
// the same order whatever the batch, the threads and the width of the vectors.
struct RecurrentKernels {
  // Sizes in floats of the packed weights; the start should be aligned to 64 bytes.
  int64_t (*forward_weights_size)(int64_t hidden_size);
  int64_t (*backward_weights_size)(int64_t hidden_size);
  // weight_hh [G * H, H], biases [G * H], all contiguous.
  void (*pack_forward)(int64_t hidden_size, const float* weight_hh, const float* bias_ih,
                       const float* bias_hh, float* packed);
  void (*pack_backward)(int64_t hidden_size, const float* weight_hh, float* packed);
  // The columns [first, last) of a product. Not for depth 0. May throw std::bad_alloc.
  void (*multiply)(const MatrixProduct& product, int64_t first_column, int64_t last_column);
  // Both start from a hidden state of zero. May throw std::bad_alloc.
  void (*forward)(const RecurrentForward& pass, const ConversationRows& conversations);
  void (*backward)(const RecurrentBackward& pass, const ConversationRows& conversations);
};

// Those for the best instruction set that this processor has.
const RecurrentKernels& BestRecurrentKernels(RecurrentCell cell);

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CPU_RECURRENT_KERNELS_H_
