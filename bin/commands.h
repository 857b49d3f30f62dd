// The commands of `cmerc` that run models. Each prints its result to standard output and returns
// why it failed: InvalidArgument or NotFound for bad usage or input, anything else for a run that
// failed.
#ifndef CMERC_BIN_COMMANDS_H_
#define CMERC_BIN_COMMANDS_H_

#include <vector>

#include "absl/status/status.h"
#include "bin/flags.h"

namespace cmerc {

std::vector<FlagSpec> TrainFlags();
absl::Status TrainCommand(const Flags& flags);

std::vector<FlagSpec> EvaluateFlags();
absl::Status EvaluateCommand(const Flags& flags);

std::vector<FlagSpec> PredictFlags();
// Its results are all that it writes to standard output; what else it has to say goes to standard
// error.
absl::Status PredictCommand(const Flags& flags);

std::vector<FlagSpec> DifficultyFlags();
absl::Status DifficultyCommand(const Flags& flags);

std::vector<FlagSpec> DataFlags();
absl::Status DataCommand(const Flags& flags);

std::vector<FlagSpec> ExperimentFlags();
absl::Status ExperimentCommand(const Flags& flags);

std::vector<FlagSpec> ReportFlags();
absl::Status ReportCommand(const Flags& flags);

}  // namespace cmerc

#endif  // CMERC_BIN_COMMANDS_H_
