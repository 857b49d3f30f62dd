#include "core/backbone.h"

#include "absl/strings/str_cat.h"
#include "core/torch_status.h"

namespace cmerc {

absl::StatusOr<Prediction> Backbone::Forward(const Batch& batch) {
  const absl::Status valid = ValidateBatch(batch, info_);
  if (!valid.ok()) return valid;
  absl::StatusOr<Prediction> prediction = CatchTorch([&] { return ForwardImpl(batch); });
  if (!prediction.ok()) return prediction;
  const int64_t num = batch.num_utterances();
  if (!prediction->log_probs.defined() ||
      prediction->log_probs.sizes() != torch::IntArrayRef({num, info_.num_classes()})) {
    return absl::InternalError(absl::StrCat("the backbone's log_probs must be [N, C] = [", num,
                                            ", ", info_.num_classes(), "]"));
  }
  if (!prediction->features.defined() || prediction->features.dim() != 2 ||
      prediction->features.size(0) != num) {
    return absl::InternalError(
        absl::StrCat("the backbone's features must be [N, H] with N = ", num));
  }
  return prediction;
}

Registry<Backbone, const DatasetInfo&>& Backbones() {
  static auto* registry = new Registry<Backbone, const DatasetInfo&>("backbone");
  return *registry;
}

}  // namespace cmerc
