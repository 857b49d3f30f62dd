// Random numbers of the parts of a step: each part has a stream of its own, whoever predicts it.
#ifndef CMERC_TRAINING_PART_STREAMS_H_
#define CMERC_TRAINING_PART_STREAMS_H_

#include <ATen/core/Generator.h>
#include <torch/types.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace cmerc {

// While it lives, LibTorch's default generators are those of one part after the other. At its end
// they are as they were once the step's one number was drawn.
class PartStreams {
 public:
  // Draws that number. The generators are those of the CPU and of `device`. Throws what LibTorch
  // throws.
  explicit PartStreams(const torch::Device& device);
  PartStreams(const PartStreams&) = delete;
  PartStreams& operator=(const PartStreams&) = delete;
  ~PartStreams();

  // What is drawn from now on is the part's.
  void Begin(int64_t part);

 private:
  uint64_t step_ = 0;
  std::vector<std::pair<at::Generator, torch::Tensor>> generators_;  // each with its state
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_PART_STREAMS_H_
