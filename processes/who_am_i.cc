#include "processes/who_am_i.h"

#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/status.h"

namespace cmerc {
namespace {

// More processes than anyone starts; it keeps sums within int.
constexpr int kMostProcesses = 1 << 20;

// The variables of one launcher.
struct Names {
  const char* launcher;
  const char* rank;
  const char* size;
  const char* local_rank;
  // What tells launches apart, the same for all processes of one.
  std::vector<const char*> launch;
};

constexpr char kTorchrunRank[] = "RANK";
constexpr char kSlurmTasks[] = "SLURM_STEP_NUM_TASKS";

const std::vector<Names>& Launchers() {
  static const auto* const launchers = new std::vector<Names>{
      {"torchrun", kTorchrunRank, "WORLD_SIZE", "LOCAL_RANK", {}},
      {"Open MPI's mpirun",
       "OMPI_COMM_WORLD_RANK",
       "OMPI_COMM_WORLD_SIZE",
       "OMPI_COMM_WORLD_LOCAL_RANK",
       {"PMIX_NAMESPACE"}},
      {"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", {}},
      {"srun",
       "SLURM_PROCID",
       kSlurmTasks,
       "SLURM_LOCALID",
       {"SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT"}},
  };
  return *launchers;
}

// What to do about variables that are wrong.
constexpr char kWayOut[] =
    "; start the processes by torchrun --no_python, mpirun or srun, or unset the variable for one "
    "process";

// The value of the variable `name`, which is set, as a number from `least` to `most`.
absl::StatusOr<int> Number(const Environment& environment, const char* name, int least, int most) {
  const std::string text = environment(name);
  int value;
  if (!absl::SimpleAtoi(text, &value) || value < least || value > most) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, "=", text, ", must be a number from ", least, " to ", most, kWayOut));
  }
  return value;
}

// Who this process is by the variables of one launcher; nothing where it has set none of them.
absl::StatusOr<std::optional<ProcessIdentity>> ByLauncher(const Names& names,
                                                          const Environment& environment) {
  const bool has_rank = environment(names.rank) != nullptr;
  const bool has_size = environment(names.size) != nullptr;
  if (!has_rank && !has_size) return std::optional<ProcessIdentity>();
  if (!has_rank || !has_size) {
    return absl::InvalidArgumentError(absl::StrCat(
        has_rank ? names.rank : names.size, " is set without ", has_rank ? names.size : names.rank,
        ", which ", names.launcher, " sets beside it", kWayOut));
  }
  ProcessIdentity identity;
  identity.launcher = absl::StrCat(names.launcher, " (", names.rank, ", ", names.size, ")");
  ASSIGN_OR_RETURN(identity.size, Number(environment, names.size, 1, kMostProcesses));
  ASSIGN_OR_RETURN(identity.rank, Number(environment, names.rank, 0, kMostProcesses));
  if (identity.rank >= identity.size) {
    return absl::InvalidArgumentError(
        absl::StrCat(names.rank, "=", identity.rank, " with ", names.size, "=", identity.size,
                     ": ranks are counted from 0 to ", identity.size - 1, kWayOut));
  }
  if (environment(names.local_rank) != nullptr) {
    ASSIGN_OR_RETURN(identity.local_rank,
                     Number(environment, names.local_rank, 0, identity.size - 1));
  }
  for (const char* name : names.launch) {
    const char* const value = environment(name);
    if (value == nullptr) continue;
    absl::StrAppend(&identity.started_by, identity.started_by.empty() ? "" : " ", name, "=",
                    absl::CEscape(value));
  }
  return std::make_optional(identity);
}

// Where the processes meet: MASTER_ADDR and MASTER_PORT, where they are set.
absl::Status ReadAddress(const Environment& environment, ProcessIdentity* identity) {
  const char* const address = environment("MASTER_ADDR");
  const char* const port = environment("MASTER_PORT");
  if (address == nullptr && port == nullptr) return absl::OkStatus();
  if (address == nullptr || port == nullptr || *address == '\0') {
    return absl::InvalidArgumentError(
        absl::StrCat(address == nullptr || *address == '\0' ? "MASTER_ADDR" : "MASTER_PORT",
                     " is missing beside ",
                     address == nullptr || *address == '\0' ? "MASTER_PORT" : "MASTER_ADDR",
                     "; set both, or neither for processes that meet in their --output folder"));
  }
  identity->address = address;
  ASSIGN_OR_RETURN(identity->port, Number(environment, "MASTER_PORT", 1, 65535));
  const char* const agent = environment("TORCHELASTIC_USE_AGENT_STORE");
  identity->agent_store = agent != nullptr && std::string(agent) == "True";
  if (environment("TORCHELASTIC_RESTART_COUNT") != nullptr) {
    ASSIGN_OR_RETURN(identity->attempt,
                     Number(environment, "TORCHELASTIC_RESTART_COUNT", 0, kMostProcesses));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ProcessIdentity> WhoAmI(const Environment& environment) {
  std::optional<ProcessIdentity> found;
  // By hand: no torchrun has set RANK and WORLD_SIZE.
  bool by_hand = false;
  for (const Names& names : Launchers()) {
    // `sbatch` and `salloc` set the first variable for a script that no step runs.
    if (names.size == kSlurmTasks && environment(kSlurmTasks) == nullptr) continue;
    ASSIGN_OR_RETURN(const std::optional<ProcessIdentity> identity, ByLauncher(names, environment));
    if (!identity.has_value()) continue;
    if (!found.has_value()) {
      found = identity;
      by_hand = names.rank == kTorchrunRank && environment("TORCHELASTIC_RUN_ID") == nullptr;
      continue;
    }
    // One launcher starts another, such as srun a torchrun for each host: the inner one counts.
    // Nobody starts what is set by hand.
    if (by_hand && (found->rank != identity->rank || found->size != identity->size)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "this process is ", found->rank, " of ", found->size, " by ", found->launcher, ", but ",
          identity->rank, " of ", identity->size, " by ", identity->launcher,
          "; start it by one of them, or unset the variables of the other"));
    }
  }
  if (!found.has_value()) return ProcessIdentity();
  if (found->size == 1) return *found;
  RETURN_IF_ERROR(ReadAddress(environment, &*found));
  return *found;
}

std::vector<std::string> LaunchVariables() {
  std::vector<std::string> variables;
  for (const Names& names : Launchers()) {
    variables.insert(variables.end(), {names.rank, names.size, names.local_rank});
  }
  return variables;
}

}  // namespace cmerc
