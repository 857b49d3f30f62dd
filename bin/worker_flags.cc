#include "bin/worker_flags.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace cmerc {
namespace {

constexpr int64_t kMostShards = 1000000;
constexpr double kLongestPatience = 86400;

}  // namespace

absl::StatusOr<WorkerFlags> WorkerFlags::Parse(const Flags& flags) {
  WorkerFlags parsed;
  parsed.worker = flags.has("worker") || flags.has("shard");
  if (flags.has("shard")) {
    const std::string text = flags.Get("shard");
    const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('/', 1));
    if (!absl::SimpleAtoi(parts.first, &parsed.shard) ||
        !absl::SimpleAtoi(parts.second, &parsed.shards) || parsed.shard < 1 ||
        parsed.shards < parsed.shard || parsed.shards > kMostShards) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--shard=", text,
          ", must be I/N, the I-th of N parts with I from 1 to N: --shard=1/4, ... --shard=4/4"));
    }
  }
  if (flags.has("patience_s")) {
    double seconds = 0;
    if (!absl::SimpleAtod(flags.Get("patience_s"), &seconds) || !(seconds >= 1) ||
        seconds > kLongestPatience) {
      return absl::InvalidArgumentError(absl::StrCat("--patience_s=", flags.Get("patience_s"),
                                                     ", must be a number of seconds in [1, ",
                                                     kLongestPatience, "]"));
    }
    parsed.patience = std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
  }
  return parsed;
}

std::vector<PlannedRun> WorkerFlags::PartOf(const std::vector<PlannedRun>& runs) const {
  std::vector<PlannedRun> part;
  for (size_t i = static_cast<size_t>(shard - 1); i < runs.size();
       i += static_cast<size_t>(shards)) {
    part.push_back(runs[i]);
  }
  return part;
}

}  // namespace cmerc
