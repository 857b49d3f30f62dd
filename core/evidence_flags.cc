#include "core/evidence_flags.h"

#include <string>

#include "core/streams.h"
#include "core/to_device.h"

namespace cmerc {

using torch::Tensor;

EvidenceFlags::EvidenceFlags(const DatasetInfo& info) {
  const auto sources = static_cast<int64_t>(info.modalities.size()) + 2;
  for (const ModalityInfo& modality : info.modalities) {
    // Names of modalities may have dots in them, those of parameters may not.
    shifts_.push_back(register_parameter(std::to_string(shifts_.size()),
                                         torch::zeros({sources, modality.width})));
  }
}

Batch EvidenceFlags::Show(const Batch& batch) const {
  if (!batch.evidence.defined()) return batch;
  const Tensor valid =
      ToDevice(ValidRows(batch.lengths, batch.max_length()), batch.evidence.device());
  const Tensor missing = batch.evidence.logical_not().logical_and(valid.unsqueeze(2));
  if (missing.is_cpu() && !missing.any().item<bool>()) return batch;
  const Tensor lacks_any = missing.any(2, /*keepdim=*/true);
  const Tensor indicators = missing.to(torch::kFloat32);
  Batch shown = batch;
  for (size_t m = 0; m < shifts_.size(); ++m) {
    const Tensor shift = indicators.matmul(shifts_[m]);
    shown.modalities[m].streams = MapStreams(
        batch.modalities[m].streams,
        [&](const Tensor& stream) { return torch::where(lacks_any, stream + shift, stream); });
  }
  return shown;
}

}  // namespace cmerc
