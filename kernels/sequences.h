// How the kernels see a batch: rows of numbers in plain memory, divided into sequences. A sequence
// is a conversation under one view, so that one launch serves all views of a batch.
//
// Letters, here and in the kernels: S sequences, R rows of them all, n of one, M modalities, H
// numbers of a row.
//
// All pointers are to memory of the processor that runs the kernel, the tables included.
#ifndef CMERC_KERNELS_SEQUENCES_H_
#define CMERC_KERNELS_SEQUENCES_H_

#include <cstdint>

namespace cmerc::kernels {

struct Sequences {
  int64_t count;             // S
  int64_t num_rows;          // R
  int64_t longest;           // the largest n
  const int64_t* first_row;  // [S + 1]: where each begins, and R
};

// One dense row of numbers per modality and row of the batch.
template <typename T>
struct ModalityRows {
  T* data;
  int64_t modality_stride;  // from one modality to the next, in numbers
  int64_t row_stride;       // from one row to the next

  constexpr T* Row(int64_t k, int64_t r) const {
    return data + k * modality_stride + r * row_stride;
  }
};

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_SEQUENCES_H_
