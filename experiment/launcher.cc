#include "experiment/launcher.h"

namespace cmerc {

Registry<Launcher, const LauncherContext&>& Launchers() {
  static auto* registry = new Registry<Launcher, const LauncherContext&>("launcher");
  return *registry;
}

}  // namespace cmerc
