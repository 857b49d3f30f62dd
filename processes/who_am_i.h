// Which of the processes that a launcher started this one is: torchrun, mpirun, srun or none say it
// in variables.
#ifndef CMERC_PROCESSES_WHO_AM_I_H_
#define CMERC_PROCESSES_WHO_AM_I_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cmerc {

struct ProcessIdentity {
  int rank = 0;  // 0 .. size - 1
  int size = 1;
  int local_rank = 0;    // the number among the processes of this host; 0 where nobody says it
  std::string launcher;  // whose variables these are: "torchrun (RANK, WORLD_SIZE)"; "": nobody's
  std::string address;   // MASTER_ADDR; "": there is none, the processes meet in a folder
  int port = 0;          // MASTER_PORT
  // Whether something else already listens at that address (torchrun's agent), so that rank 0 must
  // not.
  bool agent_store = false;
  // What tells this launch from others in the same folder, as far as the launcher says it.
  std::string started_by;
  int attempt = 0;  // how often torchrun has started the processes again
};

// The value of a variable of the environment, or nullptr: std::getenv().
using Environment = std::function<const char*(const char*)>;

// Who this process is: by RANK and WORLD_SIZE (torchrun, or set by hand), else by
// OMPI_COMM_WORLD_RANK and _SIZE (Open MPI), else by PMI_RANK and PMI_SIZE (MPICH, Intel MPI), else
// by SLURM_PROCID and SLURM_STEP_NUM_TASKS (srun; `sbatch` alone sets the former too, and starts
// one process); one process of one where none says otherwise. Where a launcher starts another, such
// as srun a torchrun for each host, the inner one counts. InvalidArgument: a variable is missing
// beside another, is no number, or out of range, or RANK was set by hand and a launcher says
// otherwise.
absl::StatusOr<ProcessIdentity> WhoAmI(const Environment& environment);

// The variables that say so: without them a process is one of one.
std::vector<std::string> LaunchVariables();

}  // namespace cmerc

#endif  // CMERC_PROCESSES_WHO_AM_I_H_
