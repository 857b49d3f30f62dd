// The optimizer of the trainer.
#ifndef CMERC_TRAINING_ADAM_H_
#define CMERC_TRAINING_ADAM_H_

#include <torch/optim/adam.h>

#include <vector>

namespace cmerc {

// torch::optim::Adam without amsgrad, or torch::optim::AdamW: for float32 parameters on the CPU in
// one pass over memory instead of ten. Options and state are LibTorch's; results are up to float32
// rounding.
class Adam final : public torch::optim::Adam {
 public:
  using torch::optim::Adam::Adam;

  // Whether weight decay is that of AdamW (Loshchilov and Hutter, 2019): a step first scales the
  // parameter by 1 - learning rate * weight decay, and nothing is added to the gradient.
  void DecoupleWeightDecay(bool decouple) { decoupled_ = decouple; }

  // The steps from now on are of this size. It is not below 0.
  void SetLearningRate(double rate);

  // Whether the steps from now on leave the gradients in place, for who wants to look at them.
  void KeepGradients(bool keep) { keep_gradients_ = keep; }

  // Frees the gradients, so that the next backward pass need not add to zeros. A parameter that has
  // been stepped before and has no gradient now is stepped with a gradient of 0, as it would be
  // after zero_grad().
  torch::Tensor step(LossClosure closure = nullptr) override;

  struct Moments {
    int64_t steps = 0;     // 0: the parameter was never stepped, and has no moments
    torch::Tensor first;   // of the parameter's shape
    torch::Tensor second;  // the same
  };
  // The moments of every parameter, in the order of the parameters. They share the optimizer's
  // tensors.
  std::vector<Moments> GetMoments() const;
  // Takes over copies.
  void SetMoments(const std::vector<Moments>& moments);

 private:
  bool keep_gradients_ = false;
  bool decoupled_ = false;
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_ADAM_H_
