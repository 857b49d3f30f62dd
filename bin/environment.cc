#include "bin/environment.h"

#include <absl/base/config.h>
#include <dlfcn.h>
#include <google/protobuf/stubs/common.h>
#include <torch/version.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace cmerc {
namespace {

constexpr char kVersion[] = "0.1.0";

// openblas_get_parallel(): 0 sequential, 1 own threads, 2 OpenMP; -1: this is not OpenBLAS.
int OpenBlasThreading() {
  const auto get = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "openblas_get_parallel"));
  return get == nullptr ? -1 : get();
}

std::string BlasDescription() {
  const auto get = reinterpret_cast<char* (*)()>(dlsym(RTLD_DEFAULT, "openblas_get_config"));
  if (get == nullptr) return "not OpenBLAS";
  static constexpr const char* kThreading[] = {"sequential", "own threads", "OpenMP"};
  const int threading = OpenBlasThreading();
  return absl::StrCat(absl::StripAsciiWhitespace(get()), ", ",
                      threading >= 0 && threading <= 2 ? kThreading[threading] : "unknown");
}

}  // namespace

std::map<std::string, std::string> Versions() {
  return {
      {"cmerc", kVersion},
      {"libtorch", TORCH_VERSION},
      {"blas", BlasDescription()},
      {"protobuf", google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION)},
      {"abseil", absl::StrCat(ABSL_LTS_RELEASE_VERSION, ".", ABSL_LTS_RELEASE_PATCH_LEVEL)},
      {"compiler", __VERSION__},
  };
}

std::string BlasWarning() {
  if (OpenBlasThreading() != 1) return "";
  return "warning: the OpenBLAS that is bound uses its own threads, which makes recurrent layers "
         "up "
         "to ten times slower; install libopenblas0-openmp (tools/setup.sh does) and build again";
}

void SetThreads(int threads) {
  if (threads == 0 && std::getenv("OMP_NUM_THREADS") != nullptr) return;  // LibTorch obeys it
  const int wanted =
      threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  at::set_num_threads(wanted);
}

}  // namespace cmerc
