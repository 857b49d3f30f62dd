#include "bin/machine_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ExitedWithCode;
using testing::HasSubstr;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMapsTerabytes = true;  // which no limit allows
#else
constexpr bool kMapsTerabytes = false;
#endif

// Sets both limits of this process, which the system allows once.
void Limit(__rlimit_resource resource, rlim_t bytes) {
  const rlimit limit = {bytes, bytes};
  if (setrlimit(resource, &limit) != 0) std::abort();
}

// Ends the process: with 0 and the message where `status` is an error of bad usage.
[[noreturn]] void End(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  std::exit(absl::IsInvalidArgument(status) ? 0 : 1);
}

TEST(MachineLimitsTest, ThisMachineIsEnough) {
  const absl::Status memory = CheckMemoryLimits();
  EXPECT_TRUE(memory.ok()) << memory;
  EXPECT_GE(ThreadsOfPool(), 0);
  for (const int threads : {0, 1, ThreadsOfPool() + 1}) {
    const absl::Status status = CheckThreads(threads);
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST(MachineLimitsDeathTest, TooLittleAddressSpace) {
  if (kMapsTerabytes) GTEST_SKIP() << "a sanitizer needs more address space";
  EXPECT_EXIT(
      {
        Limit(RLIMIT_AS, rlim_t{600000} * 1024);
        End(CheckMemoryLimits());
      },
      ExitedWithCode(0),
      AllOf(HasSubstr("too little address space for LibTorch: 1048576 kB more cannot be had"),
            HasSubstr("ulimit -v is 600000 kB"), HasSubstr("(ulimit -v unlimited)")));
}

TEST(MachineLimitsDeathTest, TooLittleAddressSpaceForThreads) {
  if (kMapsTerabytes) GTEST_SKIP() << "a sanitizer needs more address space";
  EXPECT_TRUE(CheckMemoryOfThreads(0).ok());
  EXPECT_TRUE(CheckMemoryOfThreads(3).ok());
  EXPECT_EXIT(
      {
        Limit(RLIMIT_AS, rlim_t{600000} * 1024);
        if (!CheckMemoryOfThreads(1).ok()) std::exit(1);
        End(CheckMemoryOfThreads(3));
      },
      ExitedWithCode(0),
      AllOf(HasSubstr("4 threads (training.threads): too little address space for LibTorch: 688128 "
                      "kB more cannot be had"),
            HasSubstr("ulimit -v is 600000 kB")));
}

TEST(MachineLimitsDeathTest, TooLittleMemoryForData) {
  if (kMapsTerabytes) GTEST_SKIP() << "a sanitizer needs more memory for data";
  EXPECT_EXIT(
      {
        Limit(RLIMIT_DATA, rlim_t{300000} * 1024);
        End(CheckMemoryLimits());
      },
      ExitedWithCode(0),
      AllOf(HasSubstr("too little memory for data for LibTorch: 524288 kB more cannot be had"),
            HasSubstr("ulimit -d is 300000 kB")));
}

TEST(MachineLimitsDeathTest, TooSmallAStack) {
  EXPECT_EXIT(
      {
        Limit(RLIMIT_STACK, rlim_t{128} * 1024);
        End(CheckMemoryLimits());
      },
      ExitedWithCode(0),
      AllOf(HasSubstr("too small a stack for LibTorch: ulimit -s is 128 kB, and 256 kB are needed"),
            HasSubstr("(ulimit -s 8192)")));
}

TEST(MachineLimitsDeathTest, AStackThatMayGrowIsMadeToGrow) {
  EXPECT_EXIT(
      {
        rlimit limit{};
        getrlimit(RLIMIT_STACK, &limit);
        limit.rlim_cur = rlim_t{128} * 1024;
        setrlimit(RLIMIT_STACK, &limit);
        const absl::Status status = CheckMemoryLimits();
        getrlimit(RLIMIT_STACK, &limit);
        std::fprintf(stderr, "now %d kB", static_cast<int>(limit.rlim_cur / 1024));
        std::exit(status.ok() ? 0 : 1);
      },
      ExitedWithCode(0), HasSubstr("now 8192 kB"));
}

// Each thread has a stack, so a limit of the address space is one of the threads as well.
TEST(MachineLimitsDeathTest, TooFewThreads) {
  if (kMapsTerabytes) GTEST_SKIP() << "a sanitizer needs more address space";
  EXPECT_EXIT(
      {
        Limit(RLIMIT_AS, rlim_t{400000} * 1024);
        End(CheckThreads(1000));
      },
      ExitedWithCode(0),
      AllOf(HasSubstr("too few threads can be started for LibTorch: "), HasSubstr(" of 1000 ("),
            HasSubstr("Resource temporarily unavailable"), HasSubstr("ulimit -u"),
            HasSubstr("pids.max")));
}

TEST(LengthWarningTest, SaysWhatALongConversationTakes) {
  EXPECT_GT(FreeMemory(), 0);
  EXPECT_EQ(LengthWarning(16, 100, int64_t{1} << 30), "");
  EXPECT_EQ(LengthWarning(1, 20000, 0), "");  // nothing is known
  EXPECT_EQ(LengthWarning(1, 20000, int64_t{10'000'000'000}), "");
  EXPECT_THAT(LengthWarning(1, 20000, int64_t{9'000'000'000}),
              HasSubstr("1 conversation of up to 20000 utterances in one batch: the backbones that "
                        "come with cmerc take 6.0 to 9.6 GB for them, and 9.0 GB are free; "));
  EXPECT_THAT(LengthWarning(2, 10000, int64_t{4'000'000'000}),
              HasSubstr("2 conversations of up to 10000 utterances"));
}

}  // namespace
}  // namespace cmerc
