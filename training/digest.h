// Numbers by which data, or weights, that changed between two runs are recognized.
#ifndef CMERC_TRAINING_DIGEST_H_
#define CMERC_TRAINING_DIGEST_H_

#include <cstdint>

#include "calibration/prepared_data.h"
#include "storage/checkpoint.h"

namespace cmerc {

// FNV-1a over the splits and over ids, labels, speakers and features of all conversations, and
// which modalities are missing.
uint64_t DataDigest(const PreparedData& data);

// FNV-1a over names, types, shapes and numbers of all tensors.
uint64_t WeightsDigest(const StateDict& weights);

}  // namespace cmerc

#endif  // CMERC_TRAINING_DIGEST_H_
