// Training steps on a GPU by replaying what was recorded when their batch came before: training {
// cuda_graphs: true }.
#ifndef CMERC_TRAINING_RECORDED_STEPS_H_
#define CMERC_TRAINING_RECORDED_STEPS_H_

#include <torch/optim/optimizer.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/weighted_losses.h"
#include "core/to_device.h"
#include "training/train_step.h"
#include "training/work_graph.h"

namespace cmerc {

class RecordedSteps {
 public:
  // Records `work` on a device, as RecordWork() does.
  using Recorder = std::function<std::unique_ptr<WorkGraph>(const torch::Device& device,
                                                            const std::function<void()>& work)>;

  // What ComputeStep() takes, all of which outlives this.
  RecordedSteps(Backbone& live, Backbone& for_views, torch::optim::Optimizer& optimizer,
                const std::vector<WeightedLoss>& losses, const CalibrationConfig& config,
                const TrainingConfig& training, Recorder recorder = RecordWork);

  // Whether a batch of these conversations, in this order, has come before.
  bool Knows(const std::vector<int64_t>& conversations) const;

  // ComputeStep() of such a batch. The first time it is computed from `batch`, the second time that
  // is recorded, and from then on replayed; `batch` is then not looked at. What it returns is
  // overwritten by the next call. Internal: it cannot be recorded, because something waits for the
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

  Backbone& live_;
  Backbone& for_views_;
  torch::optim::Optimizer& optimizer_;
  const std::vector<WeightedLoss>& losses_;
  const CalibrationConfig& config_;
  const TrainingConfig& training_;
  const Recorder recorder_;
  std::map<std::vector<int64_t>, Recorded> recorded_;
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_RECORDED_STEPS_H_
