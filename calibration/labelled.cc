#include "calibration/labelled.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace cmerc {

int64_t CountLabelled(const Conversation& conversation) {
  const torch::Tensor labels = conversation.labels.contiguous();
  const int64_t* begin = labels.data_ptr<int64_t>();
  return labels.numel() - std::count(begin, begin + labels.numel(), kUnlabelled);
}

int64_t CountUnlabelled(const PreparedData& data, absl::Span<const int64_t> indices) {
  int64_t count = 0;
  for (const int64_t index : indices) {
    const Conversation& conversation = data.conversations[index];
    count += conversation.length() - CountLabelled(conversation);
  }
  return count;
}

absl::Status CheckHasLabels(const PreparedData& data, absl::Span<const int64_t> indices,
                            const std::string& name, const std::string& why) {
  const bool has_any = std::any_of(indices.begin(), indices.end(), [&](int64_t index) {
    return CountLabelled(data.conversations[index]) > 0;
  });
  if (has_any) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("no utterance of ", name, " has a label, and ", why));
}

LossInput OnlyLabelled(LossInput input, const torch::Tensor& labelled) {
  if (!labelled.defined()) return input;
  const auto select = [&](torch::Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.index_select(0, labelled);
  };
  select(input.full.log_probs);
  select(input.full.features);
  for (ViewPrediction& view : input.views) {
    select(view.prediction.log_probs);
    select(view.prediction.features);
  }
  select(input.labels);
  input.cosine_cache = {};
  return input;
}

}  // namespace cmerc
