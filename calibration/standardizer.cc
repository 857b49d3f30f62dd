#include "calibration/standardizer.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "calibration/missing.h"
#include "core/streams.h"

namespace cmerc {
namespace {

// Whether it has one mean and one deviation above 0, both finite, for each of `width` features.
bool Fits(const Standardization::Stream& stream, int64_t width) {
  return stream.mean_size() == width && stream.deviation_size() == width &&
         std::all_of(stream.mean().begin(), stream.mean().end(),
                     [](float mean) { return std::isfinite(mean); }) &&
         std::all_of(stream.deviation().begin(), stream.deviation().end(),
                     [](float deviation) { return std::isfinite(deviation) && deviation > 0; });
}

torch::Tensor ToTensor(const google::protobuf::RepeatedField<float>& values) {
  return torch::tensor(std::vector<float>(values.begin(), values.end()));
}

}  // namespace

FeatureMeasurer::FeatureMeasurer(const DatasetInfo& info) {
  for (const ModalityInfo& modality : info.modalities) sums_.emplace_back(modality.num_streams);
}

void FeatureMeasurer::Add(const Conversation& conversation) {
  for (size_t m = 0; m < sums_.size(); ++m) {
    const std::vector<torch::Tensor>& streams = conversation.features[m];
    torch::Tensor values, squares;
    int64_t rows = 0;
    for (size_t s = 0; s < streams.size(); ++s) {
      if (!IsSameAsPrevious(streams, s)) {
        torch::Tensor x = streams[s].to(torch::kFloat64);
        if (conversation.present.defined()) x = x.index_select(0, RowsWith(conversation, m));
        values = x.sum(0);
        squares = x.square().sum(0);
        rows = x.size(0);
      }
      Sums& sums = sums_[m][s];
      sums.values = sums.values.defined() ? sums.values + values : values;
      sums.squares = sums.squares.defined() ? sums.squares + squares : squares;
      sums.rows += rows;
    }
  }
}

Standardization FeatureMeasurer::Result() const {
  Standardization result;
  for (const std::vector<Sums>& streams : sums_) {
    Standardization::Modality* modality = result.add_modalities();
    for (const Sums& sums : streams) {
      const torch::Tensor mean = sums.values / sums.rows;
      const torch::Tensor variance = (sums.squares / sums.rows - mean.square()).clamp_min(0);
      // A feature that never varies says nothing: leave its scale alone.
      const torch::Tensor tiny = variance <= 1e-12 * mean.square().clamp_min(1);
      const torch::Tensor deviation =
          torch::where(tiny, torch::ones_like(variance), variance.sqrt());
      Standardization::Stream* stream = modality->add_streams();
      for (int64_t d = 0; d < mean.size(0); ++d) {
        stream->add_mean(static_cast<float>(mean[d].item<double>()));
        stream->add_deviation(static_cast<float>(deviation[d].item<double>()));
      }
    }
  }
  return result;
}

absl::StatusOr<Standardizer> Standardizer::Create(const Standardization& standardization,
                                                  const DatasetInfo& info) {
  bool fits = standardization.modalities_size() == static_cast<int>(info.modalities.size());
  for (int m = 0; fits && m < standardization.modalities_size(); ++m) {
    const auto& streams = standardization.modalities(m).streams();
    fits = streams.size() == info.modalities[m].num_streams;
    for (const auto& stream : streams) fits = fits && Fits(stream, info.modalities[m].width);
  }
  if (!fits) {
    return absl::InvalidArgumentError(
        "the checkpoint's standardisation does not fit this dataset's modalities and widths; use "
        "the dataset the model was trained on");
  }
  Standardizer result;
  for (const Standardization::Modality& modality : standardization.modalities()) {
    std::vector<Stream> streams;
    for (const auto& stream : modality.streams()) {
      const torch::Tensor mean = ToTensor(stream.mean());
      const torch::Tensor deviation = ToTensor(stream.deviation());
      const bool same = !streams.empty() && mean.equal(streams.back().mean) &&
                        deviation.equal(streams.back().deviation);
      streams.push_back({mean, deviation, same});
    }
    result.modalities_.push_back(std::move(streams));
  }
  return result;
}

void Standardizer::Apply(Conversation& conversation) const {
  for (size_t m = 0; m < modalities_.size(); ++m) {
    const std::vector<torch::Tensor> original = conversation.features[m];
    for (size_t s = 0; s < original.size(); ++s) {
      const Stream& stream = modalities_[m][s];
      const bool same_as_previous = stream.same_as_previous && IsSameAsPrevious(original, s);
      conversation.features[m][s] = same_as_previous
                                        ? conversation.features[m][s - 1]
                                        : (original[s] - stream.mean) / stream.deviation;
    }
  }
}

}  // namespace cmerc
