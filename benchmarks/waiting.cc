// How the threads of a benchmark wait for each other, as a line of what it prints first.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

namespace {

// The variable that decides for libgomp, or "libgomp's default". `cmerc` sets one, benchmarks none.
std::string HowThreadsWait() {
  for (const std::string variable : {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}) {
    const char* const value = std::getenv(variable.c_str());
    if (value != nullptr) return variable + "=" + value;
  }
  return "libgomp's default";
}

[[maybe_unused]] const bool kAdded = [] {
  benchmark::AddCustomContext("threads_wait", HowThreadsWait());
  return true;
}();

}  // namespace
