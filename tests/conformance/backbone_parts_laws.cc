// Laws of a training step in parts (training.parts): it is the step of the whole batch, and the
// same bits for any number of processes.
#include <gtest/gtest.h>
#include <torch/optim/sgd.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/weighted_losses.h"
#include "storage/module_state.h"
#include "tests/conformance/backbone_fixture.h"
#include "tests/training/lockstep.h"
#include "training/parts_check.h"
#include "training/train_step.h"

namespace cmerc::conformance {
namespace {

class BackbonePartsLaws : public BackboneFixture {
 protected:
  void SetUp() override {
    const auto model = Make(info_);
    ASSERT_NE(model, nullptr);
    // A model that cannot be trained in parts is refused before a run.
    const absl::Status fits = CheckParts(*model, GetParam().type, ConfigOf(2, kViewWeights[0]));
    if (!fits.ok()) GTEST_SKIP() << fits.message();
  }

  static constexpr CalibrationConfig::Weights kViewWeights[] = {CalibrationConfig::EPOCH_SNAPSHOT,
                                                                CalibrationConfig::LIVE_PAIRED};

  // Every linked loss that can do something with these weights.
  RunConfig ConfigOf(int parts, CalibrationConfig::Weights weights) const {
    RunConfig config;
    config.mutable_training()->set_parts(parts);
    config.mutable_calibration()->set_view_weights(weights);
    for (const PluginCase& plugin : CasesOf(Losses())) {
      const auto loss = Create<Loss, const DatasetInfo&>(Losses(), plugin, info_);
      EXPECT_TRUE(loss.ok()) << loss.status();
      const bool pairs = weights == CalibrationConfig::LIVE_PAIRED;
      if (!loss.ok() || ((*loss)->teaches_views() && !pairs)) continue;
      LossConfig* entry = config.add_losses();
      entry->set_weight(0.1);
      *entry->mutable_loss() = ExactOptions(plugin).value();
    }
    return config;
  }

  struct Outcome {
    absl::StatusOr<StepReport> report = absl::UnknownError("no step");
    StateDict state;
  };

  // A step of plain descent, whose change of the weights is the gradient.
  Outcome Step(const RunConfig& config, Dropout dropout, ProcessGroup* processes = nullptr) const {
    Outcome outcome;
    const auto model = Make(info_, 1, dropout), snapshot = Make(info_, 2, dropout);
    const auto losses = MakeLosses(config, info_);
    if (model == nullptr || snapshot == nullptr || !losses.ok()) return outcome;
    torch::manual_seed(3);
    torch::optim::SGD descent(model->parameters(), torch::optim::SGDOptions(1));
    StepContext context{*model,           *snapshot, descent, *losses, config.calibration(),
                        config.training()};
    context.processes = processes;
    outcome.report = TrainStep(context, RandomBatch({3, 1, 6, 2, 5}, info_, 2));
    outcome.state = StateOf(*model);
    return outcome;
  }
};

TEST_P(BackbonePartsLaws, WithoutDropoutAStepInPartsIsThatOfTheWholeBatch) {
  for (const CalibrationConfig::Weights weights : kViewWeights) {
    const Outcome whole = Step(ConfigOf(0, weights), Dropout::kNone);
    ASSERT_TRUE(whole.report.ok()) << whole.report.status();
    for (const int parts : {1, 2, 8}) {
      SCOPED_TRACE(absl::StrCat(CalibrationConfig::Weights_Name(weights), ", parts ", parts));
      const Outcome divided = Step(ConfigOf(parts, weights), Dropout::kNone);
      ASSERT_TRUE(divided.report.ok()) << divided.report.status();
      ASSERT_EQ(divided.report->losses.size(), whole.report->losses.size());
      for (size_t i = 0; i < whole.report->losses.size(); ++i) {
        const double loss = whole.report->losses[i];
        EXPECT_NEAR(divided.report->losses[i], loss, kReordered * std::max(1.0, std::abs(loss)));
      }
      for (const auto& [name, value] : whole.state) {
        EXPECT_LE(
            MaxDifference(divided.state.at(name).to(torch::kFloat64), value.to(torch::kFloat64)),
            kReordered * std::max(1.0, value.abs().max().item<double>()))
            << name;
      }
    }
  }
}

TEST_P(BackbonePartsLaws, AnyNumberOfProcessesTakesTheSameStep) {
  for (const CalibrationConfig::Weights weights : kViewWeights) {
    const RunConfig config = ConfigOf(4, weights);
    const Outcome alone = Step(config, Dropout::kAsGiven);
    ASSERT_TRUE(alone.report.ok()) << alone.report.status();
    SCOPED_TRACE(CalibrationConfig::Weights_Name(weights));
    // A number that does not divide the parts.
    std::vector<Outcome> outcomes(3);
    RunInLockstep(3, [&](ProcessGroup& group) {
      outcomes[group.rank()] = Step(config, Dropout::kAsGiven, &group);
    });
    for (const Outcome& outcome : outcomes) {
      ASSERT_TRUE(outcome.report.ok()) << outcome.report.status();
      EXPECT_EQ(outcome.report->losses, alone.report->losses);
      for (const auto& [name, value] : alone.state) {
        EXPECT_TRUE(outcome.state.at(name).equal(value)) << name;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Registered, BackbonePartsLaws, testing::ValuesIn(CasesOf(Backbones())),
                         CaseName);

}  // namespace
}  // namespace cmerc::conformance
