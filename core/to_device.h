// Copies tensors from the CPU to the device of a model.
#ifndef CMERC_CORE_TO_DEVICE_H_
#define CMERC_CORE_TO_DEVICE_H_

#include <map>
#include <string>

#include "torch/types.h"

namespace cmerc {

// Returns `tensor` on `device`, which is `tensor` itself if it is there already. A copy to a GPU
// goes by way of pinned memory, which LibTorch keeps for as long as the copy takes, so that nothing
// waits for it. Throws what LibTorch throws where memory is short.
torch::Tensor ToDevice(const torch::Tensor& tensor, const torch::Device& device);

// Remembers what ToDevice() copied while these constants were in use. When they are in use again,
// the same numbers are not copied again: meant for work that is repeated on the same batch.
class DeviceConstants {
 public:
  // As long as a Use lives, ToDevice() on this thread looks up its copies in `constants`.
  class Use {
   public:
    explicit Use(DeviceConstants& constants);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    DeviceConstants* const before_;
  };

  // The copy on `device` of `tensor`, which is on the CPU; `device` is another.
  const torch::Tensor& Get(const torch::Tensor& tensor, const torch::Device& device);

 private:
  std::map<std::string, torch::Tensor> tensors_;  // by type, shape, device and numbers
};

}  // namespace cmerc

#endif  // CMERC_CORE_TO_DEVICE_H_
