// Which rows of a modality's padded features differ, so that what is done to each row by itself is
// done once: all padding is one row, and so is a conversation without a source of evidence.
#ifndef CMERC_BACKBONES_LAYERS_DISTINCT_ROWS_H_
#define CMERC_BACKBONES_LAYERS_DISTINCT_ROWS_H_

#include <vector>

#include "backbones/layers/packing.h"

namespace cmerc {

class DistinctRows {
 public:
  // streams: each [B, T, D]. `padded`: rows of padding are needed too, after all utterances (see
  // RecurrentRows). `alike`: rows of the same numbers may count as one; without it only the order
  // changes.
  DistinctRows(const std::vector<torch::Tensor>& streams, const Packing& packing, bool padded,
               bool alike);

  // all [B, T, D] or [B * T, D], features or what became of them row by row -> [U, D], one of each.
  torch::Tensor Select(const torch::Tensor& all) const;

  // [R] int64 on the CPU: which of the U each row is; undefined when all are distinct, R = U.
  const torch::Tensor& input_of() const { return input_of_; }

  // rows [U, ...] -> [N, ...], those of the utterances.
  torch::Tensor Utterances(const torch::Tensor& rows) const;

 private:
  int64_t num_utterances_;  // N
  // [U] int64 on the CPU, of all B * T rows; undefined: all as they are.
  torch::Tensor positions_;
  torch::Tensor input_of_;
};

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_DISTINCT_ROWS_H_
