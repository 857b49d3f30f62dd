// --shard: which of N parts of its conversations a process of `cmerc predict` answers.
#ifndef CMERC_BIN_SHARD_H_
#define CMERC_BIN_SHARD_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace cmerc {

struct Shard {
  int64_t index = 1;  // from 1
  int64_t count = 1;

  // "2/4": the second of four. InvalidArgument, with "--shard=" in front: no such part.
  static absl::StatusOr<Shard> Parse(const std::string& text);

  // The conversations of the shard, [begin, end) of all that are predicted.
  struct Range {
    int64_t begin = 0;
    int64_t end = 0;

    int64_t size() const { return end - begin; }
  };

  // What this shard has of `size` conversations, of which `batch_size` at a time are predicted:
  // whole batches of theirs, so that batch mates, and with them the last digits, are the same as in
  // one process. Shards differ by one batch at most; it may be empty.
  Range Of(int64_t size, int64_t batch_size) const;
};

}  // namespace cmerc

#endif  // CMERC_BIN_SHARD_H_
