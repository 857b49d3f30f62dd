// Checkpoints: a plain dict of tensors in the archive that torch.save() writes, so that Python
// reads ours with torch.load(weights_only=True) and we read the official code's .pth. Reading
// executes nothing.
#ifndef CMERC_STORAGE_CHECKPOINT_H_
#define CMERC_STORAGE_CHECKPOINT_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/checkpoint.pb.h"
#include "torch/types.h"

namespace cmerc {

// Parameter or buffer name -> tensor on the CPU.
using StateDict = std::map<std::string, torch::Tensor>;

struct Checkpoint {
  StateDict state;
  std::optional<CheckpointMetadata> metadata;  // absent in a file that Python saved
  // What the user should know of how such a file was read (which entry of its dict the weights are,
  // which prefix their names lost), a sentence without the file's name; empty where there is
  // nothing to say.
  std::string note;
};

// "note: PATH: ..." and a newline, for the terminal: what `note` says of the file at `path`; empty
// where there is nothing to say.
std::string NoteLine(const Checkpoint& checkpoint, const std::string& path);

// Writes to a temporary file beside `path`, which then takes its place. Errors are those of
// WriteFileAtomically(); InvalidArgument: a tensor of a type that checkpoints do not hold;
// ResourceExhausted: no memory for a copy of a tensor.
absl::Status WriteCheckpoint(const std::string& path, const StateDict& state,
                             const CheckpointMetadata& metadata);

// Reads a checkpoint of ours or of Python's torch.save(): a dict of tensors, or a dict with one
// dict of tensors in it (storage/state_choice.h). InvalidArgument names the file and what is wrong
// with it: it is no archive, truncated, has a record that is compressed or damaged, a pickle that
// asks for more than tensors and plain data, no dict of tensors or several, a tensor outside its
// storage, tensors that take more than 64 times the file, or metadata that cannot be read; where
// Python can save what is needed, it says the line. NotFound: there is no such file. Unavailable:
// it cannot be read.
absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path);

}  // namespace cmerc

#endif  // CMERC_STORAGE_CHECKPOINT_H_
