// A step in parts (training.parts), which several processes may take together.
//
// Each process predicts some of the parts. The predictions of all parts then go to all processes,
// and each computes the losses of the whole batch by them, so that every loss means what it means
// for an undivided batch, and needs to know nothing of parts. The gradients of the predictions go
// back through the parts where they were predicted; the gradients of the weights are added up over
// the parts in one fixed order (training/parts.h), whatever the number of processes.
#ifndef CMERC_TRAINING_STEP_IN_PARTS_H_
#define CMERC_TRAINING_STEP_IN_PARTS_H_

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "core/batch.h"
#include "core/loss.h"
#include "processes/one_process.h"
#include "training/parts.h"
#include "training/step_context.h"

namespace cmerc {

class StepInParts {
 public:
  // All that `context` names outlives this; context.training.parts() is above 0, and not below the
  // number of processes.
  explicit StepInParts(const StepContext& context) : context_(context) {}

  // The predictions of `batch`, the same in all processes: tensors that ask for a gradient but come
  // from nowhere. Draws one number from LibTorch's default generator. Errors: those of PredictAll()
  // for a part, and of ProcessGroup::AllGather().
  absl::StatusOr<LossInput> Predict(const Batch& batch);

  // The gradients of `parameters`, which are those of context.live, from the gradients that a
  // backward pass left at what Predict() returned. The same in all processes; undefined where no
  // part has one. Frees the gradients of the parameters. Errors: those of AllGather(). Throws what
  // LibTorch throws.
  absl::StatusOr<std::vector<torch::Tensor>> PassOn(const std::vector<torch::Tensor>& parameters);

 private:
  // A part that this process has predicted.
  struct Part {
    int64_t first_row = 0;               // of all utterances of the batch
    std::vector<torch::Tensor> outputs;  // OutputsOf() its predictions
  };

  ProcessGroup& processes() { return context_.processes != nullptr ? *context_.processes : alone_; }
  // The parts that process `rank` predicts.
  Slice PartsOf(int rank);
  // Predicts the parts of this process; those without a conversation stay empty.
  absl::Status PredictParts(const Batch& batch);
  // [N, W]: the outputs of all parts side by side, gathered from all processes.
  absl::StatusOr<torch::Tensor> GatherOutputs(const Batch& batch);
  // Takes the rows of all utterances, side by side as gathered, apart.
  LossInput TakeApart(const torch::Tensor& rows, const torch::Tensor& labels);
  // The gradients of the parameters by one part, as one tensor.
  torch::Tensor GradientsOf(Part& part, const std::vector<torch::Tensor>& parameters);
  // Their sum over the parts of all processes.
  absl::StatusOr<torch::Tensor> SumOverParts(const std::vector<torch::Tensor>& parameters);

  const StepContext& context_;
  OneProcess alone_;
  std::vector<Part> parts_;
  std::vector<torch::Tensor> leaves_;  // what Predict() returned, in the order of Part::outputs
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_STEP_IN_PARTS_H_
