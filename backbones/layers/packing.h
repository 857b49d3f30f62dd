// Where the real utterances of a padded batch are, and the way between its padded [B, T, ...] and
// its packed [N, ...] form (letters: core/batch.h).
#ifndef CMERC_BACKBONES_LAYERS_PACKING_H_
#define CMERC_BACKBONES_LAYERS_PACKING_H_

#include <cstdint>

#include "torch/types.h"

namespace cmerc {

struct Batch;

// One per batch. Both directions are cheap forward and backward: rows are moved, never added up.
class Packing {
 public:
  // lengths: [B] int64 on the CPU, each in [1, max_length]. The tensors to move live on `device`.
  Packing(const torch::Tensor& lengths, int64_t max_length, torch::Device device);

  // For the tensors of a batch, on its device.
  explicit Packing(const Batch& batch);

  int64_t num_conversations() const { return lengths_.size(0); }  // B
  int64_t max_length() const { return max_length_; }              // T
  int64_t num_utterances() const { return num_utterances_; }      // N

  // [B] int64 on the CPU.
  const torch::Tensor& lengths() const { return lengths_; }
  // [B, T] bool on the device: true for a real utterance.
  const torch::Tensor& valid() const { return valid_; }
  // [B, T] float32 on the device: 1 for a real utterance, else 0.
  const torch::Tensor& weights() const { return weights_; }

  // [B, T, ...] -> [N, ...]
  torch::Tensor Pack(const torch::Tensor& padded) const;
  // [N, ...] -> [B, T, ...], zero on padding
  torch::Tensor Pad(const torch::Tensor& packed) const;

  // [B, T, T] -> [sum n^2]: for each conversation, the pairs of its n utterances.
  torch::Tensor PackPairs(const torch::Tensor& padded) const;

  // The order a packed recurrent network wants: all first utterances, then all second ones, ...,
  // longest conversations first.
  struct TimeMajor {
    torch::Tensor order;        // [N] int64 on the device: rows of the packed form
    torch::Tensor batch_sizes;  // [max(lengths)] int64 on the CPU: conversations still running
  };
  TimeMajor MakeTimeMajor() const;

 private:
  torch::Tensor lengths_;
  int64_t max_length_;
  int64_t num_utterances_;
  torch::Tensor valid_;
  torch::Tensor weights_;
  torch::Tensor rows_;  // [N] int64: rows of the padded form seen as [B * T, ...]
};

// x [R, ...] -> x[rows], where no row occurs twice: the gradient is placed, not added up.
torch::Tensor SelectRows(const torch::Tensor& x, const torch::Tensor& rows);

// x [K, ...] -> [num_rows, ...] with y[rows] = x and zero elsewhere; no row occurs twice.
torch::Tensor PlaceRows(const torch::Tensor& x, const torch::Tensor& rows, int64_t num_rows);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_PACKING_H_
