#include "training/work_graph.h"

namespace cmerc {

std::unique_ptr<WorkGraph> RecordWork(const torch::Device& device,
                                      const std::function<void()>& /*work*/) {
  TORCH_CHECK_VALUE(false, "no work can be recorded on ", device,
                    ": this program was built without CUDA; build it with --config=cuda");
}

}  // namespace cmerc
