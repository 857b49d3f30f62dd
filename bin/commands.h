// The commands of `cmerc` that need LibTorch; bin/command_line.h has their flags. Each prints its
// result to standard output and returns why it failed: InvalidArgument or NotFound for bad usage or
// input, anything else for a run that failed.
#ifndef CMERC_BIN_COMMANDS_H_
#define CMERC_BIN_COMMANDS_H_

#include "absl/status/status.h"
#include "bin/flags.h"

namespace cmerc {

absl::Status TrainCommand(const Flags& flags);

absl::Status EvaluateCommand(const Flags& flags);

// Its results are all that it writes to standard output; what else it has to say goes to standard
// error.
absl::Status PredictCommand(const Flags& flags);

absl::Status DifficultyCommand(const Flags& flags);

absl::Status DataCommand(const Flags& flags);

absl::Status ExperimentCommand(const Flags& flags);

absl::Status ReportCommand(const Flags& flags);

}  // namespace cmerc

#endif  // CMERC_BIN_COMMANDS_H_
