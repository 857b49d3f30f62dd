#include "core/to_device.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace cmerc {
namespace {

thread_local DeviceConstants* in_use = nullptr;

torch::Tensor Copy(const torch::Tensor& tensor, const torch::Device& device) {
  const torch::Tensor pinned = device.is_cuda() && tensor.is_cpu() ? tensor.pin_memory() : tensor;
  return pinned.to(device, /*non_blocking=*/true);
}

}  // namespace

torch::Tensor ToDevice(const torch::Tensor& tensor, const torch::Device& device) {
  if (in_use != nullptr && tensor.is_cpu() && !device.is_cpu()) return in_use->Get(tensor, device);
  return Copy(tensor, device);
}

DeviceConstants::Use::Use(DeviceConstants& constants) : before_(in_use) { in_use = &constants; }

DeviceConstants::Use::~Use() { in_use = before_; }

const torch::Tensor& DeviceConstants::Get(const torch::Tensor& tensor,
                                          const torch::Device& device) {
  const torch::Tensor numbers = tensor.contiguous();
  const absl::string_view bytes(static_cast<const char*>(numbers.data_ptr()), numbers.nbytes());
  const std::string key = absl::StrCat(device.str(), " ", c10::toString(numbers.scalar_type()), "[",
                                       absl::StrJoin(numbers.sizes(), ","), "]", bytes);
  torch::Tensor& there = tensors_[key];
  if (!there.defined()) there = Copy(numbers, device);
  return there;
}

}  // namespace cmerc
