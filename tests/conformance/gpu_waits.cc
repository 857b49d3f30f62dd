#include "tests/conformance/gpu_waits.h"

#include <c10/cuda/CUDAFunctions.h>
#include <c10/util/Exception.h>

#include <string>

namespace cmerc::conformance {
namespace {

class Counter final : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override {
    if (warning.msg().find("synchronizing CUDA operation") != std::string::npos) {
      ++count;
    } else {
      c10::WarningHandler::process(warning);
    }
  }

  int64_t count = 0;
};

Counter& TheCounter() {
  static auto* counter = new Counter;
  return *counter;
}

c10::WarningHandler* handler_before = nullptr;

}  // namespace

void CountGpuWaits() {
  TheCounter().count = 0;
  handler_before = c10::WarningUtils::get_warning_handler();
  c10::WarningUtils::set_warning_handler(&TheCounter());
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_WARN);
}

int64_t StopCountingGpuWaits() {
  c10::cuda::warning_state().set_sync_debug_mode(c10::cuda::SyncDebugMode::L_DISABLED);
  c10::WarningUtils::set_warning_handler(handler_before);
  return TheCounter().count;
}

}  // namespace cmerc::conformance
