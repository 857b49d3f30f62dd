// The rows that recurrent networks run over, and the order in which they are walked.
#ifndef CMERC_BACKBONES_LAYERS_RECURRENT_ROWS_H_
#define CMERC_BACKBONES_LAYERS_RECURRENT_ROWS_H_

#include <cstdint>
#include <vector>

#include "backbones/layers/packing.h"
#include "torch/types.h"

namespace cmerc {

// What a network runs over: R rows, those of N utterances and then those of padding, of which a
// conversation may have some at its end.
struct RecurrentRows {
  // [U, I]: what the rows read. Often it is the same for many: all padding, or all of a
  // conversation without a source of evidence.
  torch::Tensor inputs;
  // [B] int64 on the CPU, each >= 1, with sum N: utterances. Conversations lie one after the other,
  // each in time order.
  torch::Tensor lengths;
  // T, at least the longest length: every conversation is encoded at this length, as the official
  // code does, and has T - length rows of padding; these, too, conversation after conversation. 0:
  // no padding, R = N.
  int64_t padded_length = 0;
  // [R] int64 on the CPU: row r reads inputs[input_of[r]], input_of[r] <= r. Undefined: U = R, and
  // each row has its own.
  torch::Tensor input_of = {};
};

// Returns the conversations of all parts, one part after the other, for one run. There is at least
// one part, and all have the same padded_length.
RecurrentRows Join(const std::vector<RecurrentRows>& parts);

// Throws c10::Error unless the rows are as RecurrentRows says and input_size values wide.
void CheckRows(const RecurrentRows& rows, int64_t input_size);

// Returns what every row reads, [R, I].
torch::Tensor InputOfEachRow(const RecurrentRows& rows);

// The rows of RecurrentRows in the order that the kernels and LibTorch walk them. Positions are
// conversation-major, each conversation with its padding (see ConversationRows of the kernels).
struct RowOrder {
  explicit RowOrder(const RecurrentRows& rows);

  // Rows ordered by time, then by length, and how many there are at each time.
  Packing::TimeMajor ByTime() const;

  int64_t num_utterances;     // N
  int64_t num_rows;           // R
  torch::Tensor run_lengths;  // [B], with padding
  // The first positions of all conversations and their lengths [2, B], longest first (stable).
  torch::Tensor whole;       // with their padding
  torch::Tensor utterances;  // without it
  torch::Tensor row_at;      // [R], the row at each position; undefined: position p is row p
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_RECURRENT_ROWS_H_
