#include "calibration/missing.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/streams.h"

namespace cmerc {
namespace {

using torch::Tensor;

bool Fits(const TrainingMeans::Stream& stream, int64_t width) {
  return stream.mean_size() == width && std::all_of(stream.mean().begin(), stream.mean().end(),
                                                    [](float mean) { return std::isfinite(mean); });
}

bool Fits(const TrainingMeans& means, const DatasetInfo& info) {
  bool fits = means.modalities_size() == static_cast<int>(info.modalities.size());
  for (int m = 0; fits && m < means.modalities_size(); ++m) {
    const auto& streams = means.modalities(m).streams();
    fits = streams.size() == info.modalities[m].num_streams;
    for (const auto& stream : streams) fits = fits && Fits(stream, info.modalities[m].width);
  }
  return fits;
}

// [n, D]: the mean of the rows of `stream` that are there, `present` [n] bool, in every row: of all
// of them, or of those up to it. `otherwise` [D] where there are none; undefined where that cannot
// be.
Tensor StandIn(const Tensor& stream, const Tensor& present, ContextScope scope,
               const Tensor& otherwise) {
  if (scope == ContextScope::kConversation) {
    const Tensor rows = present.nonzero().squeeze(1);
    const Tensor mean = rows.size(0) > 0 ? stream.index_select(0, rows).mean(0) : otherwise;
    return mean.unsqueeze(0).expand_as(stream);
  }
  // In float64, so that the sum of a few rows does not depend on those behind them.
  const Tensor there = present.unsqueeze(1);
  const Tensor sums =
      torch::where(there, stream, torch::zeros_like(stream)).to(torch::kFloat64).cumsum(0);
  const Tensor counts = there.to(torch::kFloat64).cumsum(0);
  const Tensor means = (sums / counts.clamp_min(1)).to(stream.scalar_type());
  return otherwise.defined() ? torch::where(counts > 0, means, otherwise.unsqueeze(0)) : means;
}

// Whether an utterance lacks the modality and nothing of its conversation can stand for it.
bool NeedsMeans(const Tensor& present, ContextScope scope) {
  const bool from_the_start = !present[0].item<bool>();
  return scope == ContextScope::kPast ? from_the_start : !present.any().item<bool>();
}

}  // namespace

FeatureMeans ZeroMeans(const DatasetInfo& info) {
  FeatureMeans means;
  for (const ModalityInfo& modality : info.modalities) {
    means.emplace_back(modality.num_streams, torch::zeros({modality.width}));
  }
  return means;
}

absl::StatusOr<FeatureMeans> MeansOf(const TrainingMeans& means, const DatasetInfo& info) {
  if (!Fits(means, info)) {
    return absl::InvalidArgumentError(
        "the means of the training split that the checkpoint carries do not fit this dataset's "
        "modalities and widths; use the dataset the model was trained on");
  }
  FeatureMeans result;
  for (const TrainingMeans::Modality& modality : means.modalities()) {
    std::vector<Tensor> streams;
    for (const TrainingMeans::Stream& stream : modality.streams()) {
      Tensor mean = torch::tensor(std::vector<float>(stream.mean().begin(), stream.mean().end()));
      const bool same = !streams.empty() && mean.equal(streams.back());
      streams.push_back(same ? streams.back() : std::move(mean));
    }
    result.push_back(std::move(streams));
  }
  return result;
}

TrainingMeans Describe(const FeatureMeans& means) {
  TrainingMeans description;
  for (const std::vector<Tensor>& streams : means) {
    TrainingMeans::Modality* modality = description.add_modalities();
    for (const Tensor& mean : streams) {
      const Tensor values = mean.contiguous();
      modality->add_streams()->mutable_mean()->Add(values.data_ptr<float>(),
                                                   values.data_ptr<float>() + values.numel());
    }
  }
  return description;
}

Tensor RowsWith(const Conversation& conversation, size_t m) {
  if (!conversation.present.defined()) return torch::arange(conversation.length());
  return conversation.present.select(1, static_cast<int64_t>(m)).nonzero().squeeze(1);
}

bool LacksAny(const Conversation& conversation) {
  return conversation.present.defined() && !conversation.present.all().item<bool>();
}

absl::Status FillMissing(const FeatureMeans& means, const DatasetInfo& info,
                         Conversation& conversation) {
  if (!LacksAny(conversation)) return absl::OkStatus();
  for (size_t m = 0; m < info.modalities.size(); ++m) {
    const Tensor present = conversation.present.select(1, static_cast<int64_t>(m));
    if (present.all().item<bool>()) continue;
    const bool needs_means = NeedsMeans(present, info.context);
    if (needs_means && means.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          info.modalities[m].name,
          info.context == ContextScope::kPast ? " is missing from the first utterance on"
                                              : " is missing in every utterance",
          ", and the model does not carry the mean of its training split that would stand for it, "
          "as models of versions before 0.2 without standardization do not; train it again, or "
          "give an utterance the modality"));
    }
    const std::vector<Tensor> original = conversation.features[m];
    for (size_t s = 0; s < original.size(); ++s) {
      const Tensor otherwise = needs_means ? means[m][s] : Tensor();
      const bool same_as_previous =
          IsSameAsPrevious(original, s) && (!needs_means || otherwise.is_same(means[m][s - 1]));
      conversation.features[m][s] =
          same_as_previous ? conversation.features[m][s - 1]
                           : torch::where(present.unsqueeze(1), original[s],
                                          StandIn(original[s], present, info.context, otherwise));
    }
  }
  return absl::OkStatus();
}

}  // namespace cmerc
