// The rows of a graph's nodes as plain memory, and the way over them: conversation by conversation,
// in parallel.
//
// Letters: M modalities, N utterances of a batch, n of a conversation.
#ifndef CMERC_KERNELS_CPU_GRAPH_ROWS_H_
#define CMERC_KERNELS_CPU_GRAPH_ROWS_H_

#include <cstdint>
#include <vector>

namespace cmerc::kernels {

// One dense row of numbers per modality and utterance.
template <typename T>
struct GraphRows {
  std::vector<T*> first;  // [M]: of each modality
  int64_t stride = 0;     // from one utterance's row to the next one's, in numbers

  T* Row(int64_t k, int64_t i) const { return first[k] + i * stride; }

  // Those from utterance i on.
  GraphRows From(int64_t i) const {
    GraphRows result = *this;
    for (T*& row : result.first) row += i * stride;
    return result;
  }

  operator GraphRows<const T>() const { return {{first.begin(), first.end()}, stride}; }
};

// A whole number of rows in one piece of memory, [M, n, width].
inline GraphRows<float> RowsIn(float* memory, int64_t num_modalities, int64_t length,
                               int64_t width) {
  GraphRows<float> rows{{}, width};
  for (int64_t k = 0; k < num_modalities; ++k) rows.first.push_back(memory + k * length * width);
  return rows;
}

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CPU_GRAPH_ROWS_H_
