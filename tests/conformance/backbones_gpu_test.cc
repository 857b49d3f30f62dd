// Every backbone with every loss: a training step on a GPU against the same on the processor, which
// the goldens are compared with. No law of the suite, since the broken plugins that show that a law
// can fail run on processors.
#include <gtest/gtest.h>
#include <torch/cuda.h>
#include <torch/optim/sgd.h>

#include <algorithm>
#include <cmath>

#include "calibration/device.h"
#include "calibration/train_step.h"
#include "checkpoint/module_state.h"
#include "tests/conformance/backbone_fixture.h"

namespace cmerc::conformance {
namespace {

class BackboneOnGpuTest : public BackboneFixture {
 protected:
  // Every linked loss with its default options; those that need views with a small weight.
  ExperimentConfig AllLosses() const {
    ExperimentConfig config;
    for (const PluginCase& plugin : CasesOf(Losses())) {
      const auto loss = Create<Loss, const DatasetInfo&>(Losses(), plugin, info_);
      EXPECT_TRUE(loss.ok()) << loss.status();
      if (!loss.ok()) continue;
      LossConfig* entry = config.add_losses();
      entry->set_weight((*loss)->views().empty() ? 1 : 0.1);
      *entry->mutable_loss() = ExactOptions(plugin).value();
    }
    return config;
  }
};

// A step of plain descent with every loss, whose change of the weights is the gradient.
TEST_P(BackboneOnGpuTest, AStepOnAGpuIsTheSame) {
  if (!torch::cuda::is_available()) GTEST_SKIP() << "no GPU, or a LibTorch without CUDA";
  const auto losses = MakeLosses(AllLosses(), info_);
  ASSERT_TRUE(losses.ok()) << losses.status();
  struct Outcome {
    absl::StatusOr<StepReport> report;
    StateDict state;
  };
  const auto step = [&](const torch::Device& device) {
    const auto model = Make(info_, 1, Dropout::kNone);
    const auto snapshot = Make(info_, 2, Dropout::kNone);
    if (model == nullptr || snapshot == nullptr) return Outcome{absl::UnknownError("no model"), {}};
    model->to(device);
    snapshot->to(device);
    torch::optim::SGD descent(model->parameters(), torch::optim::SGDOptions(1));
    const Batch batch = ToDevice(RandomBatch({3, 1, 6}, info_, 2), device);
    Outcome outcome{TrainStep(*model, *snapshot, descent, *losses, batch, CalibrationConfig()), {}};
    model->to(torch::kCPU);
    outcome.state = StateOf(*model);
    return outcome;
  };
  const Outcome expected = step(torch::kCPU);
  const Outcome got = step(torch::kCUDA);
  ASSERT_TRUE(expected.report.ok()) << expected.report.status();
  if (got.report.status().code() == absl::StatusCode::kInvalidArgument) {
    GTEST_SKIP() << "it says that it wants a processor: " << got.report.status();
  }
  ASSERT_TRUE(got.report.ok()) << got.report.status();
  // Sums in another order, through which gradients of all layers pass.
  constexpr double kTolerance = 1e-4;
  EXPECT_LE(
      MaxDifference(got.report->input.full.log_probs.cpu(), expected.report->input.full.log_probs),
      kTolerance);
  for (size_t i = 0; i < losses->size(); ++i) {
    EXPECT_NEAR(got.report->losses[i], expected.report->losses[i],
                kTolerance * std::max(1.0, std::abs(expected.report->losses[i])))
        << (*losses)[i].name;
  }
  for (const auto& [name, value] : expected.state) {
    EXPECT_LE(MaxDifference(got.state.at(name).to(torch::kFloat64), value.to(torch::kFloat64)),
              kTolerance * std::max(1.0, value.abs().max().item<double>()))
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Registered, BackboneOnGpuTest, testing::ValuesIn(CasesOf(Backbones())),
                         CaseName);

}  // namespace
}  // namespace cmerc::conformance
