// Where a model and its batches are.
#ifndef CMERC_CALIBRATION_DEVICE_H_
#define CMERC_CALIBRATION_DEVICE_H_

#include <string>

#include "absl/status/statusor.h"
#include "core/batch.h"
#include "torch/types.h"

namespace cmerc {

// The device that training.device names. InvalidArgument: the name is none, this program has no
// CUDA, or the machine no such GPU.
absl::StatusOr<torch::Device> FindDevice(const std::string& name);

// To be called before anything runs on a GPU: makes LibTorch's operators add in the same order each
// time, and float32 products use all their digits (no TF32). Operators that have no such order warn
// of it. On the CPU both hold anyway.
void PrepareDevice(const torch::Device& device);

// The batch with all its tensors on `device` (core/to_device.h) except `lengths`, which stay on the
// CPU. Where `device` is the CPU they are the same tensors.
Batch ToDevice(const Batch& batch, const torch::Device& device);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_DEVICE_H_
