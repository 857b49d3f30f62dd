#include "bin/launch.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "core/status.h"

namespace cmerc {
namespace {

const char* Variable(const char* name) { return std::getenv(name); }

// "4 processes were started by srun (SLURM_PROCID, SLURM_STEP_NUM_TASKS)".
std::string Started(const ProcessIdentity& identity) {
  return absl::StrCat(identity.size, " processes were started by ", identity.launcher);
}

}  // namespace

absl::Status CheckOneProcess(const std::string& command, const Flags& flags) {
  if (command == "train" || !flags.has("output") || flags.has("shard") || flags.has("worker")) {
    return absl::OkStatus();
  }
  // Variables that only `train` reads may say what they like.
  const absl::StatusOr<ProcessIdentity> identity = WhoAmI(Variable);
  if (!identity.ok() || identity->size == 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(Started(*identity), ", and `cmerc ", command, "` is done by one; start it once",
                   command == "predict"      ? ", or a part of it in each process: --shard=I/N"
                   : command == "experiment" ? ", or as workers: --worker"
                                             : "",
                   ", or unset these variables where each process does something else"));
}

void ForgetLauncher() {
  for (const std::string& name : LaunchVariables()) unsetenv(name.c_str());
}

absl::StatusOr<ProcessIdentity> TrainingProcess(const Flags& flags, const RunConfig& config) {
  ASSIGN_OR_RETURN(ProcessIdentity identity, WhoAmI(Variable));
  if (identity.size == 1) return identity;
  const std::string started = Started(identity);
  const int parts = config.training().parts();
  if (parts == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        started,
        ", and without parts a step is of one process; set training { parts: 8 }, the same "
        "for any number of processes, or start one"));
  }
  if (identity.size > parts) {
    return absl::InvalidArgumentError(absl::StrCat(
        started, ", but training { parts: ", parts, " } has work for at most ", parts,
        "; start fewer, or set more parts, of which results depend in their last bits"));
  }
  if (!flags.has("output")) {
    return absl::InvalidArgumentError(
        absl::StrCat(started, "; name the folder of the run for all of them: --output=DIR"));
  }
  if (flags.has("profile")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--profile: ", started, "; profile one process"));
  }
  return identity;
}

}  // namespace cmerc
