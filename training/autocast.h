// Mixed precision for a scope: LibTorch's autocast.
#ifndef CMERC_TRAINING_AUTOCAST_H_
#define CMERC_TRAINING_AUTOCAST_H_

#include "config/run.pb.h"
#include "core/backbone.h"

namespace cmerc {

// With BF16, LibTorch's matrix products on `device` round their operands to bfloat16 while this
// lives, on this thread, and keep rounded weights for as long. With FLOAT32 it does nothing. The
// backward pass of what was computed may come later: it has the types of the forward pass.
class Autocast {
 public:
  Autocast(TrainingConfig::Precision precision, const torch::Device& device);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  const bool enabled_;
  const c10::DeviceType type_;
  bool was_enabled_ = false;
  at::ScalarType dtype_before_ = at::kFloat;
};

// A prediction as losses want it: what autocast left in bfloat16 becomes float32.
Prediction ToFloat32(const Prediction& prediction);

}  // namespace cmerc

#endif  // CMERC_TRAINING_AUTOCAST_H_
