#include "core/scheduler.h"

namespace cmerc {

Registry<Scheduler>& Schedulers() {
  static auto* registry = new Registry<Scheduler>("scheduler");
  return *registry;
}

}  // namespace cmerc
