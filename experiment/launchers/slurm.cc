#include "experiment/launcher.h"
#include "experiment/launchers/slurm.pb.h"
#include "experiment/launchers/slurm_launcher.h"

namespace cmerc {
namespace {

const Registered<SlurmOptions> kRegistered(Launchers(), SlurmLauncher::Create);

}  // namespace
}  // namespace cmerc
