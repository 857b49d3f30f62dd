// What backbones without a use for single streams read of a batch: each modality's mean.
#ifndef CMERC_BACKBONES_LAYERS_MEAN_OF_STREAMS_H_
#define CMERC_BACKBONES_LAYERS_MEAN_OF_STREAMS_H_

#include <cstdint>
#include <vector>

#include "core/batch.h"
#include "core/dataset.h"

namespace cmerc {

// The mean of one or more streams of the same shape, [B, T, D] -> [B, T, D].
torch::Tensor MeanOfStreams(const std::vector<torch::Tensor>& streams);

// The means of all modalities, one modality's columns after the other's: [B, T, sum of D_m].
torch::Tensor MeansSideBySide(const std::vector<Modality>& modalities);

// How wide MeansSideBySide() is: sum of D_m.
int64_t WidthSideBySide(const DatasetInfo& info);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_MEAN_OF_STREAMS_H_
