#include "calibration/device.h"

#include <ATen/Context.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include <cstdint>
#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/streams.h"
#include "core/to_device.h"

namespace cmerc {

absl::StatusOr<torch::Device> FindDevice(const std::string& name) {
  const auto count = static_cast<int64_t>(torch::cuda::device_count());
  if (name == "cpu" || (name == "auto" && count == 0)) return torch::Device(torch::kCPU);
  absl::string_view number = name;
  int64_t wanted = 0;
  const bool first = name == "auto" || name == "cuda";
  // SimpleAtoi() would take " +1" too.
  const bool numbered = absl::ConsumePrefix(&number, "cuda:") &&
                        absl::SimpleAtoi(number, &wanted) && absl::StrCat(wanted) == number;
  const std::string field = absl::StrCat("training.device: \"", name, "\"");
  if (!first && (!numbered || wanted < 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        field, " is no device; must be \"cpu\", \"auto\", \"cuda\" or \"cuda:\" and a number"));
  }
  if (!at::globalContext().hasCUDART()) {
    return absl::InvalidArgumentError(
        absl::StrCat(field,
                     ": this program was built without CUDA; use \"cpu\" or \"auto\", or build "
                     "it with --config=cuda (docs/cuda.md)"));
  }
  if (count == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(field,
                     ": CUDA finds no GPU on this machine; use \"cpu\" or \"auto\", or see "
                     "whether nvidia-smi finds one"));
  }
  if (wanted >= count) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": the last GPU of this machine is \"cuda:", count - 1,
                     "\"; use \"cpu\" or \"auto\", or one that is there"));
  }
  return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(wanted));
}

void PrepareDevice(const torch::Device& device) {
  if (device.is_cpu()) return;
  // cuBLAS needs this for a fixed order, and reads it when it starts.
  setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*replace=*/0);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 2)
  // Nothing reads memory that was never written to, and filling it would cost a kernel per tensor.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
#endif
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
}

Batch ToDevice(const Batch& batch, const torch::Device& device) {
  if (device.is_cpu()) return batch;
  Batch result = batch;
  for (Modality& modality : result.modalities) {
    modality.streams = MapStreams(
        modality.streams, [&](const torch::Tensor& stream) { return ToDevice(stream, device); });
  }
  result.speakers = ToDevice(batch.speakers, device);
  result.context = ToDevice(batch.context, device);
  result.labels = ToDevice(batch.labels, device);
  if (batch.labelled.defined()) result.labelled = ToDevice(batch.labelled, device);
  if (batch.evidence.defined()) result.evidence = ToDevice(batch.evidence, device);
  return result;
}

}  // namespace cmerc
