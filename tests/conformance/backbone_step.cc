#include "tests/conformance/backbone_step.h"

#include <torch/optim/sgd.h>

#include <algorithm>
#include <cmath>

#include "calibration/device.h"
#include "calibration/weighted_losses.h"
#include "storage/module_state.h"
#include "training/train_step.h"

namespace cmerc::conformance {

RunConfig BackboneStepFixture::AllLosses(double weight_with_views) const {
  RunConfig config;
  for (const PluginCase& plugin : CasesOf(Losses())) {
    const auto loss = Create<Loss, const DatasetInfo&>(Losses(), plugin, info_);
    EXPECT_TRUE(loss.ok()) << loss.status();
    // The snapshot that predicts the views has nothing to teach.
    if (!loss.ok() || (*loss)->teaches_views()) continue;
    LossConfig* entry = config.add_losses();
    entry->set_weight((*loss)->views().empty() ? 1 : weight_with_views);
    *entry->mutable_loss() = ExactOptions(plugin).value();
  }
  return config;
}

BackboneStepFixture::Outcome BackboneStepFixture::Step(const torch::Device& device,
                                                       TrainingConfig::Precision precision,
                                                       double weight_with_views) const {
  const auto model = Make(info_, 1, Dropout::kNone);
  const auto snapshot = Make(info_, 2, Dropout::kNone);
  if (model == nullptr || snapshot == nullptr) return {absl::UnknownError("no model"), {}};
  const auto losses = MakeLosses(AllLosses(weight_with_views), info_);
  if (!losses.ok()) return {losses.status(), {}};
  model->to(device);
  snapshot->to(device);
  torch::optim::SGD descent(model->parameters(), torch::optim::SGDOptions(1));
  TrainingConfig training;
  training.set_precision(precision);
  const Batch batch = ToDevice(RandomBatch({3, 1, 6}, info_, 2), device);
  BeforeStep();
  Outcome outcome{TrainStep({*model, *snapshot, descent, *losses, {}, training}, batch), {}};
  AfterStep();
  if (outcome.report.ok()) {
    Prediction& full = outcome.report->input.full;
    full = {full.log_probs.cpu(), full.features.cpu()};
  }
  model->to(torch::kCPU);
  outcome.state = StateOf(*model);
  return outcome;
}

void BackboneStepFixture::ExpectNear(const Outcome& got, const Outcome& expected,
                                     double tolerance) {
  ASSERT_TRUE(expected.report.ok()) << expected.report.status();
  ASSERT_TRUE(got.report.ok()) << got.report.status();
  conformance::ExpectNear(got.report->input.full, expected.report->input.full, tolerance);
  ASSERT_EQ(got.report->losses.size(), expected.report->losses.size());
  for (size_t i = 0; i < expected.report->losses.size(); ++i) {
    const double loss = expected.report->losses[i];
    EXPECT_NEAR(got.report->losses[i], loss, tolerance * std::max(1.0, std::abs(loss)))
        << "loss " << i;
  }
  for (const auto& [name, value] : expected.state) {
    EXPECT_LE(MaxDifference(got.state.at(name).to(torch::kFloat64), value.to(torch::kFloat64)),
              tolerance * std::max(1.0, value.abs().max().item<double>()))
        << name;
  }
}

}  // namespace cmerc::conformance
