#include "bin/shard.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace cmerc {
namespace {

// Products of a batch and a shard stay within int64.
constexpr int64_t kMostShards = 1000000;

}  // namespace

absl::StatusOr<Shard> Shard::Parse(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  Shard shard;
  if (parts.size() == 2 && absl::SimpleAtoi(parts[0], &shard.index) &&
      absl::SimpleAtoi(parts[1], &shard.count) && shard.index >= 1 && shard.index <= shard.count &&
      shard.count <= kMostShards) {
    return shard;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--shard=", text,
      ", must be I/N, the I-th of N parts with I from 1 to N: --shard=1/4, ... --shard=4/4"));
}

Shard::Range Shard::Of(int64_t size, int64_t batch_size) const {
  const int64_t batches = size / batch_size + (size % batch_size == 0 ? 0 : 1);
  // The first of them have one batch more where they cannot all have as many.
  const auto begin = [&](int64_t shards) {
    return std::min(size,
                    (shards * (batches / count) + std::min(shards, batches % count)) * batch_size);
  };
  return {begin(index - 1), begin(index)};
}

}  // namespace cmerc
