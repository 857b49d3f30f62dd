// Every backbone with every loss: a training step on a GPU against the same on the processor, which
// the goldens are compared with. No law of the suite, since the broken plugins that show that a law
// can fail run on processors.
#include <gtest/gtest.h>
#include <torch/cuda.h>
#include <torch/optim/sgd.h>

#include <map>
#include <string>

#include "calibration/device.h"
#include "calibration/weighted_losses.h"
#include "storage/module_state.h"
#include "tests/conformance/backbone_step.h"
#include "tests/conformance/gpu_waits.h"
#include "training/recorded_steps.h"
#include "training/train_step.h"

namespace cmerc::conformance {
namespace {

class BackboneOnGpuTest : public BackboneStepFixture {
 protected:
  void SetUp() override {
    if (!torch::cuda::is_available()) GTEST_SKIP() << "no GPU, or a LibTorch without CUDA";
    PrepareDevice(torch::kCUDA);
  }

  void BeforeStep() const override { CountGpuWaits(); }
  void AfterStep() const override { waits_ = StopCountingGpuWaits(); }

  // Three steps on one batch; the model's state afterwards.
  StateDict StepsOnOneBatch(bool recorded) const {
    const auto model = Make(info_, 1, Dropout::kNone), snapshot = Make(info_, 2, Dropout::kNone);
    const auto losses = MakeLosses(AllLosses(0.1), info_);
    if (model == nullptr || snapshot == nullptr || !losses.ok()) return {};
    model->to(torch::kCUDA);
    snapshot->to(torch::kCUDA);
    torch::optim::SGD descent(model->parameters(), torch::optim::SGDOptions(0.1));
    const Batch batch = ToDevice(RandomBatch({3, 1, 6}, info_, 2), torch::kCUDA);
    const StepContext context = {*model, *snapshot, descent, *losses};
    RecordedSteps steps(context);
    for (int i = 0; i < 3; ++i) {
      const auto computed = recorded ? steps.Compute({0}, batch) : ComputeStep(context, batch);
      EXPECT_TRUE(computed.ok()) << computed.status();
      if (!computed.ok()) return {};
      const auto report = FinishStep(context, *computed);
      EXPECT_TRUE(report.ok()) << report.status();
    }
    model->to(torch::kCPU);
    return StateOf(*model);
  }

  mutable int64_t waits_ = 0;
};

TEST_P(BackboneOnGpuTest, AStepIsThatOfTheProcessor) {
  // Sums in another order, through which gradients of all layers pass.
  ExpectNear(Step(torch::kCUDA, TrainingConfig::FLOAT32),
             Step(torch::kCPU, TrainingConfig::FLOAT32), 1e-4);
}

// As view_weights: LIVE_WITH_GRADIENT wants it.
TEST_P(BackboneOnGpuTest, AGradientInEvaluationIsThatOfTheProcessor) {
  const auto gradients = [&](const torch::Device& device) {
    const auto model = Make(info_, 1);
    std::map<std::string, torch::Tensor> result;
    if (model == nullptr) return result;
    model->to(device);
    model->eval();
    const Batch batch = ToDevice(RandomBatch({3, 1, 6}, info_, 2), device);
    torch::nll_loss(Predict(*model, batch).log_probs, batch.labels).backward();
    for (const auto& parameter : model->named_parameters()) {
      const torch::Tensor& gradient = parameter.value().grad();
      if (gradient.defined()) result[parameter.key()] = gradient.cpu();
    }
    return result;
  };
  const auto expected = gradients(torch::kCPU), got = gradients(torch::kCUDA);
  ASSERT_FALSE(expected.empty());
  ASSERT_EQ(got.size(), expected.size());
  for (const auto& [name, gradient] : expected) {
    EXPECT_LE(MaxDifference(got.at(name), gradient), 1e-4) << name;
  }
}

TEST_P(BackboneOnGpuTest, TheSameBitsTwice) {
  const Outcome once = Step(torch::kCUDA, TrainingConfig::FLOAT32);
  ExpectNear(Step(torch::kCUDA, TrainingConfig::FLOAT32), once, 0);
}

TEST_P(BackboneOnGpuTest, WaitsOnce) {
  if (GetParam().type == "cmerc.DialogueRnnOptions") {
    GTEST_SKIP() << "its recurrence is computed on the CPU";
  }
  ASSERT_TRUE(Step(torch::kCUDA, TrainingConfig::FLOAT32).report.ok());
  EXPECT_EQ(waits_, 1);
}

TEST_P(BackboneOnGpuTest, RecordedStepsAreTheSame) {
  if (GetParam().type == "cmerc.DialogueRnnOptions") {
    GTEST_SKIP() << "its recurrence is computed on the CPU, and cannot be recorded";
  }
  const StateDict expected = StepsOnOneBatch(/*recorded=*/false);
  const StateDict got = StepsOnOneBatch(/*recorded=*/true);
  ASSERT_FALSE(expected.empty());
  ASSERT_EQ(got.size(), expected.size());
  for (const auto& [name, tensor] : expected) EXPECT_TRUE(got.at(name).equal(tensor)) << name;
}

INSTANTIATE_TEST_SUITE_P(Registered, BackboneOnGpuTest, testing::ValuesIn(CasesOf(Backbones())),
                         CaseName);

}  // namespace
}  // namespace cmerc::conformance
