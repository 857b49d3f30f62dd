#include "training/autocast.h"

#include <ATen/autocast_mode.h>
#include <torch/version.h>

namespace cmerc {
namespace {

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)

bool IsEnabled(c10::DeviceType type) { return at::autocast::is_autocast_enabled(type); }
void SetEnabled(c10::DeviceType type, bool enabled) {
  at::autocast::set_autocast_enabled(type, enabled);
}
at::ScalarType DtypeOf(c10::DeviceType type) { return at::autocast::get_autocast_dtype(type); }
void SetDtype(c10::DeviceType type, at::ScalarType dtype) {
  at::autocast::set_autocast_dtype(type, dtype);
}

#else

// Older versions of LibTorch have a function for each kind of device.
bool IsEnabled(c10::DeviceType type) {
  return type == c10::kCPU ? at::autocast::is_cpu_enabled() : at::autocast::is_enabled();
}
void SetEnabled(c10::DeviceType type, bool enabled) {
  type == c10::kCPU ? at::autocast::set_cpu_enabled(enabled) : at::autocast::set_enabled(enabled);
}
at::ScalarType DtypeOf(c10::DeviceType type) {
  return type == c10::kCPU ? at::autocast::get_autocast_cpu_dtype()
                           : at::autocast::get_autocast_gpu_dtype();
}
void SetDtype(c10::DeviceType type, at::ScalarType dtype) {
  type == c10::kCPU ? at::autocast::set_autocast_cpu_dtype(dtype)
                    : at::autocast::set_autocast_gpu_dtype(dtype);
}

#endif

}  // namespace

Autocast::Autocast(TrainingConfig::Precision precision, const torch::Device& device)
    : enabled_(precision == TrainingConfig::BF16), type_(device.type()) {
  if (!enabled_) return;
  was_enabled_ = IsEnabled(type_);
  dtype_before_ = DtypeOf(type_);
  at::autocast::increment_nesting();
  SetDtype(type_, at::kBFloat16);
  SetEnabled(type_, true);
}

Autocast::~Autocast() {
  if (!enabled_) return;
  SetEnabled(type_, was_enabled_);
  SetDtype(type_, dtype_before_);
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
}

Prediction ToFloat32(const Prediction& prediction) {
  const auto wide = [](const torch::Tensor& x) {
    return x.scalar_type() == torch::kBFloat16 ? x.to(torch::kFloat32) : x;
  };
  return {wide(prediction.log_probs), wide(prediction.features)};
}

}  // namespace cmerc
