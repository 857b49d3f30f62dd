// Passes of a backbone in training that are in pairs with the one before them.
#ifndef CMERC_CORE_REPLAY_H_
#define CMERC_CORE_REPLAY_H_

#include <ATen/core/Generator.h>

#include <vector>

#include "core/backbone.h"
#include "torch/types.h"

namespace cmerc {

// Lets passes of a backbone draw the random numbers of the first one, and at its end brings back
// what the first one left: where random numbers are drawn, running statistics.
class Replay {
 public:
  // Before the first pass. `device` is that of the batches.
  Replay(Backbone& backbone, const torch::Device& device);
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;
  ~Replay();

  // After the first pass.
  void Begin();
  // Before each of the others.
  void Rewind() { generator_.set_state(begin_); }

 private:
  Backbone& backbone_;
  at::Generator generator_;
  torch::Tensor begin_, end_;  // end_: once the first pass is over
  std::vector<torch::Tensor> buffers_;
};

}  // namespace cmerc

#endif  // CMERC_CORE_REPLAY_H_
