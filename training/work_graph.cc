#include "training/work_graph.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace cmerc {
namespace {

class CudaGraph final : public WorkGraph {
 public:
  CudaGraph(const torch::Device& device, const std::function<void()>& work) : device_(device) {
    // What graphs that are never replayed at the same time need in between is shared by them.
    static const at::cuda::MempoolId_t memory = at::cuda::graph_pool_handle();
    const c10::cuda::CUDAGuard guard(device_);
    // Not on the default stream, of which no graph can be made.
    c10::cuda::getCurrentCUDAStream().synchronize();
    const c10::cuda::CUDAStreamGuard stream(c10::cuda::getStreamFromPool());
    graph_.capture_begin(memory);
    try {
      work();
    } catch (...) {
      // It throws too when the recording has failed; why it did is in the first exception.
      try {
        graph_.capture_end();
      } catch (const std::exception&) {
      }
      throw;
    }
    graph_.capture_end();
  }

  void Replay() override {
    const c10::cuda::CUDAGuard guard(device_);
    graph_.replay();
  }

 private:
  const torch::Device device_;
  at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<WorkGraph> RecordWork(const torch::Device& device,
                                      const std::function<void()>& work) {
  return std::make_unique<CudaGraph>(device, work);
}

}  // namespace cmerc
