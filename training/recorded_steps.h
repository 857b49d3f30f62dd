// Training steps on a GPU that replay what was recorded when the same batch came before, for
// training { cuda_graphs: true }.
#ifndef CMERC_TRAINING_RECORDED_STEPS_H_
#define CMERC_TRAINING_RECORDED_STEPS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "core/batch.h"
#include "core/to_device.h"
#include "training/step_context.h"
#include "training/train_step.h"
#include "training/work_graph.h"

namespace cmerc {

class RecordedSteps {
 public:
  // Records `work` on a device, as RecordWork() does.
  using Recorder = std::function<std::unique_ptr<WorkGraph>(const torch::Device& device,
                                                            const std::function<void()>& work)>;

  // All that `context` names outlives this.
  explicit RecordedSteps(const StepContext& context, Recorder recorder = RecordWork);

  // Whether a batch of these conversations, in this order, has come before.
  bool Knows(const std::vector<int64_t>& conversations) const;

  // What ComputeStep() returns for the batch of these conversations. The first time it is computed
  // from `batch`, the second time that computation is recorded, and from then on replayed; `batch`
  // is then not looked at. The next call overwrites what this one returned. Errors: those of
  // ComputeStep(); Internal: the computation cannot be recorded, because something waits for the
  // GPU.
  absl::StatusOr<ComputedStep> Compute(const std::vector<int64_t>& conversations,
                                       const Batch& batch);

  // Forgets what has not come since the last call: an order that a curriculum has left behind.
  void EndEpoch();

 private:
  struct Recorded {
    Batch batch;
    DeviceConstants constants;  // what the graph reads beside the batch and the models
    std::unique_ptr<WorkGraph> graph;
    ComputedStep step;
    bool came = false;  // since the last EndEpoch()
  };

  absl::StatusOr<ComputedStep> ComputeNow(Recorded& recorded);

  const StepContext context_;
  const Recorder recorder_;
  std::map<std::vector<int64_t>, Recorded> recorded_;
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_RECORDED_STEPS_H_
