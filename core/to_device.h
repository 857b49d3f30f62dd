// The way of a tensor from the CPU to where a model is.
#ifndef CMERC_CORE_TO_DEVICE_H_
#define CMERC_CORE_TO_DEVICE_H_

#include <map>
#include <string>

#include "torch/types.h"

namespace cmerc {

// `tensor` there; itself if it is there already. From the CPU to a GPU it goes by way of pinned
// memory, which LibTorch keeps for as long as the copy takes, so that nothing waits for it.
torch::Tensor ToDevice(const torch::Tensor& tensor, const torch::Device& device);

// What ToDevice() has copied while they were in use. In use again, the same numbers are not copied
// again: for work that is done again and again on the same batch.
class DeviceConstants {
 public:
  // While it lives, ToDevice() on this thread uses `constants`.
  class Use {
   public:
    explicit Use(DeviceConstants& constants);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    DeviceConstants* const before_;
  };

  // `tensor`, which is on the CPU, on `device`, which is not.
  const torch::Tensor& Get(const torch::Tensor& tensor, const torch::Device& device);

 private:
  std::map<std::string, torch::Tensor> tensors_;  // by type, shape, device and numbers
};

}  // namespace cmerc

#endif  // CMERC_CORE_TO_DEVICE_H_
