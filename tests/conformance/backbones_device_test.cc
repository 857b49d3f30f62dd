// Every backbone with every loss on a device that is not the CPU (tests/host_device): the step is
// that of the CPU, nothing mixes tensors of both, and the host waits no more often than written
// here.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/conformance/backbone_step.h"
#include "tests/host_device/host_device.h"

namespace cmerc::conformance {
namespace {

// For losses, buffers, classes and the norm of the gradients, all at once.
constexpr int64_t kWaitsOfAStep = 1;

class BackboneOnDeviceTest : public BackboneStepFixture {
 protected:
  void BeforeStep() const override { ResetWaits(); }
  void AfterStep() const override {
    waits_ = Waits();
    waiting_ = absl::StrJoin(WaitingOperators(), ", ");
  }

  mutable int64_t waits_ = 0;
  mutable std::string waiting_;
};

TEST_P(BackboneOnDeviceTest, AStepIsThatOfTheCpuAndWaitsOnce) {
  const Outcome got = Step(HostDevice(), TrainingConfig::FLOAT32);
  const int64_t waits = waits_;
  const std::string waiting = waiting_;
  // The CPU has kernels of its own, which add in another order.
  ExpectNear(got, Step(torch::kCPU, TrainingConfig::FLOAT32), 2e-5);
  // The recurrence of DialogueRNN is computed on the CPU.
  if (GetParam().type == "cmerc.DialogueRnnOptions") return;
  EXPECT_EQ(waits, kWaitsOfAStep) << waiting;
}

INSTANTIATE_TEST_SUITE_P(Registered, BackboneOnDeviceTest, testing::ValuesIn(CasesOf(Backbones())),
                         CaseName);

}  // namespace
}  // namespace cmerc::conformance
