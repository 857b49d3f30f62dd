// Work on a GPU that is recorded once and done again and again: a CUDA graph.
#ifndef CMERC_TRAINING_WORK_GRAPH_H_
#define CMERC_TRAINING_WORK_GRAPH_H_

#include <functional>
#include <memory>

#include "torch/types.h"

namespace cmerc {

// What was recorded.
class WorkGraph {
 public:
  virtual ~WorkGraph() = default;

  // Starts the work on LibTorch's current stream. It reads and writes the tensors that it read and
  // wrote when it was recorded.
  virtual void Replay() = 0;
};

// Records what `work` starts on a GPU, without doing it. The same work has been done there once
// before, and it neither waits for the GPU nor copies to or from it. Throws c10::Error where it
// does, and in a program built without --config=cuda.
std::unique_ptr<WorkGraph> RecordWork(const torch::Device& device,
                                      const std::function<void()>& work);

}  // namespace cmerc

#endif  // CMERC_TRAINING_WORK_GRAPH_H_
