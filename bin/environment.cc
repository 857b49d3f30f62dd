#include "bin/environment.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <absl/base/config.h>
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <google/protobuf/stubs/common.h>
#include <omp.h>
#include <torch/version.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "bin/machine_limits.h"
#include "bin/version.h"
#include "core/status.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/cuda_build.h"

namespace cmerc {
namespace {

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

// The name of the file that `symbol` comes from, which holds the version: "libgomp.so.1.0.0".
std::string LibraryOf(const char* symbol) {
  Dl_info info;
  const void* const address = dlsym(RTLD_DEFAULT, symbol);
  if (address == nullptr || dladdr(address, &info) == 0) return "none";
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(info.dli_fname, error);
  return error ? info.dli_fname : path.filename().string();
}

// The instruction set that LibTorch's own kernels use, as it says itself: "AVX2".
std::string LibTorchInstructions() {
  static constexpr char kLine[] = "CPU capability usage: ";
  const std::string config = at::show_config();
  const size_t begin = config.find(kLine);
  if (begin == std::string::npos) return "unknown";
  const size_t value = begin + sizeof(kLine) - 1;
  return config.substr(value, config.find('\n', value) - value);
}

}  // namespace

std::map<std::string, std::string> Versions() {
  return {
      {"cmerc", kVersion},
      {"libtorch", TORCH_VERSION},
      {"cuda", kernels::CudaBuild()},
      {"blas", BlasDescription()},
      {"onednn", at::get_mkldnn_version()},
      {"openmp", absl::StrCat(LibraryOf("omp_get_max_threads"), ", ", at::get_openmp_version())},
      {"protobuf", google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION)},
      {"abseil", absl::StrCat(ABSL_LTS_RELEASE_VERSION, ".", ABSL_LTS_RELEASE_PATCH_LEVEL)},
      {"zlib", zlibVersion()},
      {"glibc", gnu_get_libc_version()},
      {"libstdc++", LibraryOf("_ZSt9terminatev")},
      {"compiler", __VERSION__},
      {"kernels",
       absl::StrCat(kernels::InstructionSetName(), ", LibTorch's ", LibTorchInstructions())},
  };
}

std::string BlasWarning() {
  if (OpenBlasThreading() != 1) return "";
  return "warning: the OpenBLAS that is bound uses its own threads, which makes recurrent layers "
         "up "
         "to ten times slower; install libopenblas0-openmp (tools/setup.sh does) and build again";
}

absl::Status SetThreads(int threads) {
  const bool from_environment = threads == 0 && std::getenv("OMP_NUM_THREADS") != nullptr;
  const int wanted = threads > 0 ? threads
                     : from_environment
                         ? omp_get_max_threads()
                         : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  RETURN_IF_ERROR(CheckMemoryOfThreads(wanted - 1));
  RETURN_IF_ERROR(CheckThreads(ThreadsOfPool() + wanted - 1));
  if (!from_environment) at::set_num_threads(wanted);  // LibTorch obeys the variable
  return absl::OkStatus();
}

}  // namespace cmerc
