// How parameters are named after modalities, as in the official code.
#ifndef CMERC_BACKBONES_LAYERS_MODALITY_NAMES_H_
#define CMERC_BACKBONES_LAYERS_MODALITY_NAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "core/dataset.h"

namespace cmerc {

// "l" for text, "a" for audio, "v" for visual, as in "linear_l"; any other name stays as it is.
std::string ShortModalityName(const std::string& modality);

// Index of the modality of that name, or -1. Of "": that of "text", or 0 where there is none.
int64_t FindModality(const DatasetInfo& info, const std::string& name);

// Every reason why no parameters can be named after these modalities.
std::vector<std::string> ModalityNameErrors(const DatasetInfo& info);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_MODALITY_NAMES_H_
