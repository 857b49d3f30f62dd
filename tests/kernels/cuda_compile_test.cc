// That nvcc compiles the kernels and that they link, on a machine without a GPU too. Without nvcc
// there is nothing to test, and it says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <utility>

#include "tests/kernels/gpu.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

class CudaCompileTest : public testing::Test {
 protected:
  void SetUp() override {
    if (FindGpu() == nullptr) {
      GTEST_SKIP() << "the CUDA code was not compiled: there is no nvcc in CUDA_PATH/bin or "
                      "/usr/local/cuda/bin";
    }
  }
};

template <typename T>
T ReadAt(const std::string& bytes, size_t at) {
  T value{};
  if (at + sizeof(T) <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

enum class Kind : uint16_t { kPtx = 1, kMachineCode = 2 };

// What the containers of device code ("fatbin") in a program hold: kind and architecture (80).
// Container: magic, version, size of this header (16 bits), size of all entries (64 bits). Entry:
// kind (16), version (16), size of its header (32), size of its code (64), and at 28 the
// architecture (32).
std::multiset<std::pair<Kind, uint32_t>> DeviceCode(const std::string& program) {
  const std::string magic = {'\x50', '\xed', '\x55', '\xba', '\x01', '\x00'};
  std::multiset<std::pair<Kind, uint32_t>> found;
  for (size_t at = program.find(magic); at != std::string::npos; at = program.find(magic, at + 1)) {
    size_t entry = at + ReadAt<uint16_t>(program, at + 6);
    const size_t end = entry + ReadAt<uint64_t>(program, at + 8);
    while (entry < end && end <= program.size()) {
      found.emplace(ReadAt<Kind>(program, entry), ReadAt<uint32_t>(program, entry + 28));
      const size_t size =
          ReadAt<uint32_t>(program, entry + 4) + ReadAt<uint64_t>(program, entry + 8);
      if (size == 0) break;
      entry += size;
    }
  }
  return found;
}

TEST_F(CudaCompileTest, EverySourceHasCodeForEveryArchitecture) {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::string program{std::istreambuf_iterator<char>(file), {}};
  const auto code = DeviceCode(program);
  constexpr int kSources = 3;
  EXPECT_EQ(code.count({Kind::kMachineCode, 80}), kSources);
  EXPECT_EQ(code.count({Kind::kMachineCode, 90}), kSources);
  EXPECT_EQ(code.count({Kind::kPtx, 90}), kSources);
  EXPECT_EQ(code.size(), 3 * kSources);
}

TEST_F(CudaCompileTest, NothingToDoNeedsNoGpu) {
  EXPECT_TRUE(FindGpu()->gated_aggregation({}, nullptr).ok());
  EXPECT_TRUE(FindGpu()->gated_aggregation_backward({}, nullptr).ok());
  EXPECT_TRUE(FindGpu()->hypergraph_mean({}, nullptr).ok());
  EXPECT_TRUE(FindGpu()->hypergraph_mean_backward({}, nullptr).ok());
  EXPECT_TRUE(FindGpu()->group_sums({}, nullptr).ok());
  EXPECT_TRUE(FindGpu()->group_sums_backward({}, nullptr).ok());
}

TEST_F(CudaCompileTest, ALaunchWithoutAGpuIsAnErrorThatNamesTheKernel) {
  if (FindGpu()->why_missing().empty()) GTEST_SKIP() << "there is a GPU";
  kernels::Sequences one{};
  one.count = one.num_rows = one.longest = 1;
  kernels::GatedAggregation gated{};
  gated.sequences = one;
  gated.num_modalities = gated.width = 1;
  kernels::HypergraphMean hypergraph{};
  hypergraph.sequences = one;
  hypergraph.num_modalities = hypergraph.width = 1;
  kernels::GroupSums groups{};
  groups.num = groups.width = groups.num_groups = 1;
  for (const auto& [name, status] : {
           std::pair{"gated aggregation", FindGpu()->gated_aggregation(gated, nullptr)},
           std::pair{"gated aggregation", FindGpu()->gated_aggregation_backward(gated, nullptr)},
           std::pair{"the hypergraph", FindGpu()->hypergraph_mean(hypergraph, nullptr)},
           std::pair{"the gradient of the hypergraph",
                     FindGpu()->hypergraph_mean_backward(hypergraph, nullptr)},
           std::pair{"similarities", FindGpu()->group_sums(groups, nullptr)},
           std::pair{"similarities", FindGpu()->group_sums_backward(groups, nullptr)},
       }) {
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("CUDA refuses to start ")) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
  }
}

TEST_F(CudaCompileTest, TooManyModalitiesAreRefused) {
  kernels::HypergraphMean hypergraph{};
  hypergraph.num_modalities = kernels::kHypergraphMeanModalities + 1;
  const absl::Status status = FindGpu()->hypergraph_mean(hypergraph, nullptr);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("9 modalities"));
}

}  // namespace
}  // namespace cmerc
