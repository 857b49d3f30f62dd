// --worker, --shard and --patience_s of `cmerc experiment`: what of an experiment this process
// does.
#ifndef CMERC_BIN_WORKER_FLAGS_H_
#define CMERC_BIN_WORKER_FLAGS_H_

#include <chrono>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "bin/flags.h"
#include "experiment/plan.h"

namespace cmerc {

struct WorkerFlags {
  // Whether there may be other processes that do runs of the same experiment.
  bool worker = false;
  // Which part of the runs it does, from 1, of how many.
  int64_t shard = 1, shards = 1;
  // Claims::Options::patience.
  std::chrono::milliseconds patience = std::chrono::seconds(60);

  // InvalidArgument: a value is not what is wanted.
  static absl::StatusOr<WorkerFlags> Parse(const Flags& flags);

  // Every shards-th run, so that each part has some of every seed.
  std::vector<PlannedRun> PartOf(const std::vector<PlannedRun>& runs) const;
};

}  // namespace cmerc

#endif  // CMERC_BIN_WORKER_FLAGS_H_
