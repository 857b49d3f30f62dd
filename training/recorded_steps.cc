#include "training/recorded_steps.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/torch_status.h"

namespace cmerc {

RecordedSteps::RecordedSteps(const StepContext& context, Recorder recorder)
    : context_(context), recorder_(std::move(recorder)) {}

bool RecordedSteps::Knows(const std::vector<int64_t>& conversations) const {
  return recorded_.count(conversations) > 0;
}

absl::StatusOr<ComputedStep> RecordedSteps::ComputeNow(Recorded& recorded) {
  const DeviceConstants::Use use(recorded.constants);
  return ComputeStep(context_, recorded.batch);
}

absl::StatusOr<ComputedStep> RecordedSteps::Compute(const std::vector<int64_t>& conversations,
                                                    const Batch& batch) {
  const auto [place, first_time] = recorded_.try_emplace(conversations);
  Recorded& recorded = place->second;
  recorded.came = true;
  if (first_time) {
    recorded.batch = batch;
    return ComputeNow(recorded);
  }
  const absl::Status replayed = CatchTorch([&] {
    if (recorded.graph == nullptr) {
      recorded.graph = recorder_(recorded.batch.labels.device(), [&] {
        absl::StatusOr<ComputedStep> step = ComputeNow(recorded);
        TORCH_CHECK(step.ok(), std::string(step.status().message()));
        recorded.step = *std::move(step);
      });
    }
    recorded.graph->Replay();
  });
  if (!replayed.ok()) {
    return absl::InternalError(absl::StrCat("training.cuda_graphs: the step cannot be recorded (",
                                            replayed.message(), "); leave cuda_graphs out"));
  }
  return recorded.step;
}

void RecordedSteps::EndEpoch() {
  for (auto it = recorded_.begin(); it != recorded_.end();) {
    it = std::exchange(it->second.came, false) ? std::next(it) : recorded_.erase(it);
  }
}

}  // namespace cmerc
