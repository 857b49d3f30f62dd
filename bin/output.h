// What the commands write to --output, and what nothing is written over: a file that the command
// reads, and a file of another kind. All of it is said before any work.
#ifndef CMERC_BIN_OUTPUT_H_
#define CMERC_BIN_OUTPUT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bin/flags.h"
#include "config/run.pb.h"

namespace cmerc {

// The files that commands write. By what one is told from other files is in output.cc.
enum class OutputKind {
  kScores,           // of `evaluate`
  kPredictions,      // of `predict`: JSON Lines ...
  kPredictionTable,  // ... or CSV
  kDifficulties,     // of `difficulty`: JSON or a pickle
  kRecords,          // of `data convert`, as are ...
  kJsonLines,
  kNpz,
  kPage,  // of `report`
};

// Checks --output of a command that writes a file of `kind`. InvalidArgument: the file cannot be
// written; it is a file that --config, --checkpoint or --input names, under whatever name or link;
// there is a file of another kind; or there is one of this kind and neither --overwrite nor
// --resume. An empty file is in nobody's way. Where --output is "-" or not given, standard output
// must be none of the inputs.
absl::Status CheckOutput(const Flags& flags, OutputKind kind);

// InvalidArgument: --output is one of `inputs`, which a config names (PathsIn()).
absl::Status CheckOutputIsNone(const Flags& flags, const std::vector<std::string>& inputs);

// Checks --output=`output`, the folder of a run with `config`, which exists. InvalidArgument: it
// cannot be written into; a file that --config or the config names is one that the run would remove
// or write over (a config.textproto that would stay as it is may be); or there are files of the
// names that a run's files have, and no run wrote them.
absl::Status CheckRunOutput(const Flags& flags, const std::string& output, const RunConfig& config);

// Checks --output=`output`, the folder of an experiment, which need not exist, for the `files` that
// are written there and for `inputs`: the plan and what its runs read. InvalidArgument: it is the
// folder of a single run; one of the inputs is one of the files; or there are such files and no
// experiment wrote them.
absl::Status CheckExperimentOutput(const std::string& output, absl::Span<const char* const> files,
                                   const std::vector<std::string>& inputs);

}  // namespace cmerc

#endif  // CMERC_BIN_OUTPUT_H_
