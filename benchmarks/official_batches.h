// Batches of the official sizes, for benchmarks: random features, the lengths of the first four
// training batches of the official code (16 conversations each), and M3Net as the presets have it.
#ifndef CMERC_BENCHMARKS_OFFICIAL_BATCHES_H_
#define CMERC_BENCHMARKS_OFFICIAL_BATCHES_H_

#include <memory>
#include <vector>

#include "backbones/m3net/m3net.pb.h"
#include "core/backbone.h"
#include "core/batch.h"

namespace cmerc {

struct OfficialBatches {
  DatasetInfo info;  // text 1024 x 4, audio 1582 or 300, visual 342
  M3NetOptions options;
  std::vector<Batch> batches;
};

// IEMOCAP: 6 classes, 2 speakers, width 512. MELD: 7 classes, 9 speakers, width 1024.
OfficialBatches MakeOfficialBatches(bool meld, Semantics semantics);

// A batch of conversations of these lengths with random features, speakers and labels.
Batch MakeRandomBatch(const DatasetInfo& info, const std::vector<int64_t>& lengths);

// A new model of these options; throws c10::Error where they are refused.
std::unique_ptr<Backbone> MakeModel(const OfficialBatches& corpus);

}  // namespace cmerc

#endif  // CMERC_BENCHMARKS_OFFICIAL_BATCHES_H_
