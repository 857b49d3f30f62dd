#include "bin/machine_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"

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
  EXPECT_GE(BlasThreadsAtStart(), 1);
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
      AllOf(HasSubstr(absl::StrCat(
                "too little address space for LibTorch: ", 786432 + 131072 * BlasThreadsAtStart(),
                " kB more cannot be had")),
            HasSubstr("ulimit -v is 600000 kB"),
            HasSubstr("(ulimit -v unlimited), or set OMP_NUM_THREADS=1")));
}

// OpenBLAS maps memory for each of its threads before main().
TEST(MachineLimitsDeathTest, MoreProcessorsTakeMoreAddressSpace) {
  EXPECT_EXIT(
      {
        unsetenv("OMP_NUM_THREADS");
        const int processors = BlasThreadsAtStart();
        setenv("OMP_NUM_THREADS", "1,4", 1);
        const int one = BlasThreadsAtStart();
        setenv("OMP_NUM_THREADS", "100000", 1);
        std::fprintf(stderr, "%d, and %d more than there are", one,
                     BlasThreadsAtStart() - processors);
        std::exit(0);
      },
      ExitedWithCode(0), HasSubstr("1, and 0 more than there are"));
}

TEST(MachineLimitsDeathTest, TooLittleAddressSpaceForThreads) {
  if (kMapsTerabytes) GTEST_SKIP() << "a sanitizer needs more address space";
  EXPECT_TRUE(CheckMemoryOfThreads(0).ok());
  EXPECT_TRUE(CheckMemoryOfThreads(3).ok());
  setenv("OMP_NUM_THREADS", "1", 1);
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
      AllOf(HasSubstr(absl::StrCat(
                "too little memory for data for LibTorch: ", 262144 + 131072 * BlasThreadsAtStart(),
                " kB more cannot be had")),
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
  constexpr int64_t kGigabyte = 1'000'000'000;
  EXPECT_GT(FreeMemory(), 0);
  const auto warning = [](const std::string& backbone, bool views, int64_t conversations,
                          int64_t free) {
    return LengthWarning({backbone, /*transformer_encoder=*/false, /*modalities=*/3, views,
                          conversations, /*length=*/20000},
                         free);
  };
  // Pairs do not matter to one conversation.
  EXPECT_EQ(warning("cmerc.GruOptions", false, 1, 1), "");
  EXPECT_EQ(warning("cmerc.M3NetOptions", false, 1, 1), "");
  EXPECT_EQ(warning("cmerc.GruOptions", true, 1, kGigabyte), "");
  EXPECT_THAT(warning("cmerc.GruOptions", true, 1, kGigabyte / 2), HasSubstr("take 0.8 GB"));
  EXPECT_EQ(warning("cmerc.MmgcnOptions", false, 1, 0), "");  // nothing is known
  EXPECT_EQ(warning("cmerc.MmgcnOptions", false, 1, 5 * kGigabyte), "");
  EXPECT_EQ(warning("cmerc.MmgcnOptions", false, 1, 4 * kGigabyte),
            "1 conversation of up to 20000 utterances in one batch: cmerc.MmgcnOptions may take "
            "4.8 GB for their pairs, and 4.0 GB are free; divide long conversations");
  EXPECT_THAT(warning("cmerc.MmgcnOptions", true, 1, kGigabyte), HasSubstr("take 10.4 GB"));
  EXPECT_THAT(warning("cmerc.GruOptions", false, 4, kGigabyte),
              AllOf(HasSubstr("4 conversations of up to 20000 utterances"), HasSubstr("1.6 GB"),
                    HasSubstr("divide long conversations, or set training { batch_size: 1 }")));
  EXPECT_THAT(LengthWarning({"cmerc.M3NetOptions", true, 3, false, 1, 20000}, kGigabyte),
              HasSubstr("may take 18.0 GB"));
  EXPECT_THAT(warning("my.NetOptions", false, 1, kGigabyte), HasSubstr("may take 9.6 GB"));
}

}  // namespace
}  // namespace cmerc
