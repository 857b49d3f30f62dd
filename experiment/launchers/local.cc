#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "experiment/launcher.h"
#include "experiment/launchers/local.pb.h"
#include "experiment/launchers/slurm_batch.h"
#include "experiment/local_launcher.h"

namespace cmerc {
namespace {

// InvalidArgument: the runs may be in the queue of a cluster, where nobody sees what this machine
// does.
absl::StatusOr<std::unique_ptr<Launcher>> Create(const LocalOptions& /*options*/,
                                                 const LauncherContext& context) {
  if (!ReadBatches(context.output).empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--output=", context.output,
        ": runs of this experiment may be in the queue of Slurm; go on with the "
        "launcher cmerc.SlurmOptions in the plan, or end them with scancel and remove ",
        BatchesFolder(context.output)));
  }
  return std::make_unique<LocalLauncher>(context.program, context.parallel_runs);
}

const Registered<LocalOptions> kRegistered(Launchers(), Create);

}  // namespace
}  // namespace cmerc
