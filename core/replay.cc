#include "core/replay.h"

#include <ATen/Context.h>

namespace cmerc {

Replay::Replay(Backbone& backbone, const torch::Device& device)
    : backbone_(backbone),
      generator_(at::globalContext().defaultGenerator(device)),
      begin_(generator_.get_state()) {
  backbone_.UseBatchStatistics(Backbone::BatchStatistics::kOwnAndKeep);
}

Replay::~Replay() {
  backbone_.UseBatchStatistics(Backbone::BatchStatistics::kOwn);
  if (!end_.defined()) return;
  generator_.set_state(end_);
  // The gradient of a normalization keeps its running statistics, and would refuse to be computed
  // if these counted as written to.
  const std::vector<torch::Tensor> buffers = backbone_.buffers();
  for (size_t i = 0; i < buffers.size(); ++i) buffers[i].variable_data().copy_(buffers_[i]);
}

void Replay::Begin() {
  end_ = generator_.get_state();
  for (const torch::Tensor& buffer : backbone_.buffers()) buffers_.push_back(buffer.clone());
  backbone_.UseBatchStatistics(Backbone::BatchStatistics::kKept);
}

}  // namespace cmerc
