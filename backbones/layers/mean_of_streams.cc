#include "backbones/layers/mean_of_streams.h"

namespace cmerc {

using torch::Tensor;

Tensor MeanOfStreams(const std::vector<Tensor>& streams) {
  Tensor sum = streams[0];
  for (size_t s = 1; s < streams.size(); ++s) sum = sum + streams[s];
  return sum / static_cast<double>(streams.size());
}

Tensor MeansSideBySide(const std::vector<Modality>& modalities) {
  std::vector<Tensor> columns;
  columns.reserve(modalities.size());
  for (const Modality& modality : modalities) columns.push_back(MeanOfStreams(modality.streams));
  return torch::cat(columns, 2);
}

int64_t WidthSideBySide(const DatasetInfo& info) {
  int64_t width = 0;
  for (const ModalityInfo& modality : info.modalities) width += modality.width;
  return width;
}

}  // namespace cmerc
