#include "benchmarks/memory.h"

#include <malloc.h>

#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace cmerc {
namespace {

// A line of /proc/self/status in MB.
double StatusLine(const std::string& name) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    absl::string_view rest(line);
    int64_t kibibytes = 0;
    if (absl::ConsumePrefix(&rest, name + ":") && absl::ConsumeSuffix(&rest, " kB") &&
        absl::SimpleAtoi(rest, &kibibytes)) {
      return static_cast<double>(kibibytes) * 1024e-6;
    }
  }
  return 0;
}

}  // namespace

double ResidentMegabytes() { return StatusLine("VmRSS"); }

double PeakMegabytes() { return StatusLine("VmHWM"); }

void ResetPeakMemory() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

}  // namespace cmerc
