// Which conversations a process of `cmerc predict` answers: --shard, and --resume.
#ifndef CMERC_BIN_PREDICT_PART_H_
#define CMERC_BIN_PREDICT_PART_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bin/flags.h"
#include "bin/resumed_file.h"
#include "bin/shard.h"

namespace cmerc {

// A part of the conversations that can be predicted, and what is written of it.
struct InputPart {
  bool is_whole = true;  // there is no --shard, so that where the part ends is not known before
  Shard::Range range;    // of --shard
  std::unique_ptr<ResumedFile> file;  // of --resume, or null
  std::string output;                 // its path
  int64_t written = 0;                // answers in it
  // Those that are not predicted again. The last batch is, whole or not: the model answers again
  // what is written of it, which shows that model and input are the same, and the rest has the
  // batch mates that it would have had.
  int64_t known = 0;

  // How many conversations are to be predicted.
  int64_t left() const { return range.size() - known; }
};

// InvalidArgument: --shard or --resume with flags that they do not go with, or a value that is
// wrong.
absl::Status CheckPartFlags(const Flags& flags);

// The part of `size` conversations, of which `batch_size` at a time are predicted. Errors are those
// of ResumedFile::Open().
absl::StatusOr<InputPart> PartOf(const Flags& flags, int64_t size, int64_t batch_size);

// The part of the conversations of --input; without --shard its end is past any. Errors are those
// of PartOf(), and those of reading the input, which is counted for --shard.
absl::StatusOr<InputPart> PartOfInput(const Flags& flags, int64_t batch_size);

}  // namespace cmerc

#endif  // CMERC_BIN_PREDICT_PART_H_
