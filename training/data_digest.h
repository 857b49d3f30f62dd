// A number by which data that changed between two runs is recognized.
#ifndef CMERC_TRAINING_DATA_DIGEST_H_
#define CMERC_TRAINING_DATA_DIGEST_H_

#include <cstdint>

#include "calibration/prepared_data.h"

namespace cmerc {

// FNV-1a over the splits and over ids, labels, speakers and features of all conversations.
uint64_t DataDigest(const PreparedData& data);

}  // namespace cmerc

#endif  // CMERC_TRAINING_DATA_DIGEST_H_
