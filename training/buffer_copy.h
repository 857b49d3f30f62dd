// The way back after a forward pass in training that wrote bad numbers.
#ifndef CMERC_TRAINING_BUFFER_COPY_H_
#define CMERC_TRAINING_BUFFER_COPY_H_

#include <torch/nn/module.h>

#include <vector>

namespace cmerc {

// A copy of a model's buffers, such as the running statistics of batch normalization.
class BufferCopy {
 public:
  explicit BufferCopy(const torch::nn::Module& module) : buffers_(module.buffers()) {
    for (const torch::Tensor& buffer : buffers_) copies_.push_back(buffer.clone());
  }

  // Copies the model's buffers as they are now, in place of the copy so far.
  void Take() { Copy(buffers_, copies_); }
  // Makes the model's buffers what they were when they were copied.
  void PutBack() { Copy(copies_, buffers_); }

 private:
  static void Copy(const std::vector<torch::Tensor>& from, std::vector<torch::Tensor>& to) {
    const torch::NoGradGuard no_grad;
    for (size_t i = 0; i < from.size(); ++i) to[i].copy_(from[i]);
  }

  std::vector<torch::Tensor> buffers_;
  std::vector<torch::Tensor> copies_;
};

}  // namespace cmerc

#endif  // CMERC_TRAINING_BUFFER_COPY_H_
