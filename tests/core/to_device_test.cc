#include "core/to_device.h"

#include <gtest/gtest.h>

#include "tests/host_device/host_device.h"

namespace cmerc {
namespace {

using torch::Tensor;

TEST(ToDeviceTest, WhatIsThereIsItself) {
  const Tensor tensor = torch::ones({2});
  EXPECT_TRUE(ToDevice(tensor, torch::kCPU).is_same(tensor));
  const Tensor there = ToDevice(tensor, HostDevice());
  EXPECT_EQ(there.device(), HostDevice());
  EXPECT_TRUE(there.cpu().equal(tensor));
  EXPECT_TRUE(ToDevice(there, HostDevice()).is_same(there));
}

TEST(ToDeviceTest, NothingWaits) {
  ResetWaits();
  ToDevice(torch::ones({2}), HostDevice());
  EXPECT_EQ(Waits(), 0);
}

TEST(DeviceConstantsTest, TheSameNumbersAreOneTensor) {
  DeviceConstants constants;
  const auto there = [&](const Tensor& tensor) {
    const DeviceConstants::Use use(constants);
    return ToDevice(tensor, HostDevice());
  };
  const Tensor numbers = torch::tensor({1, 2, 3});
  const Tensor first = there(numbers);
  EXPECT_TRUE(first.cpu().equal(numbers));
  EXPECT_TRUE(there(numbers.clone()).is_same(first));
  EXPECT_TRUE(there(torch::tensor({1, 0, 2, 0, 3}).slice(0, 0, 5, 2)).is_same(first));
  // Other numbers, another shape, another type.
  for (const Tensor& other :
       {torch::tensor({1, 2, 4}), numbers.view({3, 1}), numbers.to(torch::kFloat64)}) {
    const Tensor of_other = there(other);
    EXPECT_FALSE(of_other.is_same(first));
    EXPECT_TRUE(of_other.cpu().equal(other));
  }
}

TEST(DeviceConstantsTest, OnlyWhileInUse) {
  DeviceConstants outer, inner;
  const Tensor numbers = torch::ones({2});
  Tensor of_outer;
  {
    const DeviceConstants::Use use_outer(outer);
    of_outer = ToDevice(numbers, HostDevice());
    {
      const DeviceConstants::Use use_inner(inner);
      EXPECT_FALSE(ToDevice(numbers, HostDevice()).is_same(of_outer));
    }
    EXPECT_TRUE(ToDevice(numbers, HostDevice()).is_same(of_outer));
    EXPECT_TRUE(ToDevice(numbers, torch::kCPU).is_same(numbers));
  }
  EXPECT_FALSE(ToDevice(numbers, HostDevice()).is_same(of_outer));
}

}  // namespace
}  // namespace cmerc
