#include "calibration/device.h"

#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/cuda.h>

#include <string>

namespace cmerc {
namespace {

using testing::HasSubstr;

std::string Problem(const std::string& name) {
  const absl::StatusOr<torch::Device> device = FindDevice(name);
  EXPECT_EQ(device.status().code(), absl::StatusCode::kInvalidArgument) << name;
  return std::string(device.status().message());
}

TEST(FindDeviceTest, TheCpu) {
  EXPECT_EQ(FindDevice("cpu").value(), torch::Device(torch::kCPU));
  const torch::Device any = FindDevice("auto").value();
  EXPECT_EQ(any.is_cpu(), torch::cuda::device_count() == 0);
}

TEST(FindDeviceTest, NoDevices) {
  for (const char* name : {"", "gpu", "CPU", "cpu:0", "cuda:", "cuda:x", "cuda:-1", "cuda:1 "}) {
    EXPECT_THAT(Problem(name), HasSubstr(std::string("training.device: \"") + name +
                                         "\" is no device; must be \"cpu\", "));
  }
}

TEST(FindDeviceTest, GpusThatAreNotThere) {
  const char* why = !at::globalContext().hasCUDART()   ? ": this program was built without CUDA;"
                    : torch::cuda::device_count() == 0 ? ": CUDA finds no GPU on this machine;"
                                                       : ": the last GPU of this machine is";
  EXPECT_THAT(Problem("cuda:100"), HasSubstr(std::string("training.device: \"cuda:100\"") + why));
}

// Whether views share a tensor is told by is_same().
TEST(ToDeviceTest, OnTheCpuItIsTheSameTensors) {
  Batch batch;
  const torch::Tensor stream = torch::zeros({1, 2, 3});
  batch.modalities = {{"text", {stream, stream}}};
  batch.speakers = torch::zeros({1, 2}, torch::kInt64);
  batch.context = torch::ones({1, 2, 2}, torch::kBool);
  batch.lengths = torch::full({1}, 2);
  batch.labels = torch::zeros({2}, torch::kInt64);
  const Batch there = ToDevice(batch, torch::kCPU);
  EXPECT_TRUE(there.modalities[0].streams[0].is_same(stream));
  EXPECT_TRUE(there.modalities[0].streams[1].is_same(stream));
  EXPECT_TRUE(there.speakers.is_same(batch.speakers));
  EXPECT_TRUE(there.context.is_same(batch.context));
  EXPECT_TRUE(there.lengths.is_same(batch.lengths));
  EXPECT_TRUE(there.labels.is_same(batch.labels));
}

}  // namespace
}  // namespace cmerc
