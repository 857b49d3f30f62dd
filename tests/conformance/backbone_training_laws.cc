// Laws of training a backbone: with every registered loss and every view, calibrated or not.
#include <ATen/Context.h>
#include <gtest/gtest.h>
#include <torch/optim/adam.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "calibration/predict_views.h"
#include "calibration/views.h"
#include "calibration/weighted_losses.h"
#include "storage/checkpoint.h"
#include "storage/module_state.h"
#include "tests/conformance/backbone_fixture.h"
#include "training/train_step.h"

namespace cmerc::conformance {
namespace {

using torch::Tensor;

constexpr CalibrationConfig::Weights kViewWeights[] = {
    CalibrationConfig::EPOCH_SNAPSHOT, CalibrationConfig::LIVE,
    CalibrationConfig::LIVE_WITH_GRADIENT, CalibrationConfig::LIVE_PAIRED};

bool HaveGradient(CalibrationConfig::Weights weights) {
  return weights == CalibrationConfig::LIVE_WITH_GRADIENT ||
         weights == CalibrationConfig::LIVE_PAIRED;
}

class BackboneTrainingLaws : public BackboneFixture {
 protected:
  void SetUp() override {
    ASSERT_FALSE(Losses().plugins().empty())
        << "no loss is linked in; add //losses:plugins to deps";
  }

  // Default options, weight 1.
  std::vector<WeightedLoss> OneLoss(const PluginCase& plugin) const {
    std::vector<WeightedLoss> losses;
    auto loss = Create<Loss, const DatasetInfo&>(Losses(), plugin, info_);
    EXPECT_TRUE(loss.ok()) << loss.status();
    if (loss.ok()) losses.push_back({plugin.type, 1, *std::move(loss)});
    return losses;
  }

  // Every linked loss that moves the full prediction, those that need no views with weight 1, the
  // others with `weight`.
  RunConfig AllLosses(double weight) const {
    RunConfig config;
    for (const auto& [type, plugin] : Losses().plugins()) {
      const PluginCase one{type, ""};
      const std::vector<WeightedLoss> made = OneLoss(one);
      if (made.empty() || made[0].loss->teaches_views()) continue;
      LossConfig* entry = config.add_losses();
      entry->set_weight(made[0].loss->views().empty() ? 1 : weight);
      *entry->mutable_loss() = ExactOptions(one).value();
    }
    return config;
  }

  // Steps over three batches, calibrated as `config` says; the state afterwards.
  StateDict Train(const RunConfig& config) const {
    const auto model = Make(info_);
    const auto snapshot = Make(info_);
    if (model == nullptr || snapshot == nullptr) return {};
    torch::manual_seed(3);
    const auto losses = MakeLosses(config, info_);
    EXPECT_TRUE(losses.ok()) << losses.status();
    if (!losses.ok()) return {};
    CopyState(*model, *snapshot);
    torch::optim::Adam adam(model->parameters(), torch::optim::AdamOptions(1e-3));
    for (uint64_t step = 0; step < 3; ++step) {
      const auto report = TrainStep({*model, *snapshot, adam, *losses, config.calibration()},
                                    RandomBatch({3, 5}, info_, 2 + step));
      EXPECT_TRUE(report.ok()) << report.status();
    }
    return StateOf(*model);
  }
};

TEST_P(BackboneTrainingLaws, AGradientReachesEveryParameter) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  // Some of a batch's units may be off, by dropout or ReLU.
  for (uint64_t seed = 2; seed < 6; ++seed) {
    const Batch batch = RandomBatch({4, 1, 6}, info_, seed);
    std::vector<Batch> inputs = {batch};
    for (const View& view : AllViews(info_)) {
      inputs.push_back(ApplyView(batch, view, CalibrationConfig::REAL_UTTERANCES));
    }
    for (const Batch& input : inputs) {
      const Prediction prediction = Predict(*model, input);
      ASSERT_TRUE(prediction.log_probs.requires_grad()) << "log_probs have no gradient";
      (torch::nll_loss(prediction.log_probs, input.labels) + prediction.features.square().mean())
          .backward();
    }
  }
  for (const auto& parameter : model->named_parameters()) {
    if (!parameter.value().requires_grad()) continue;
    const Tensor& gradient = parameter.value().grad();
    ASSERT_TRUE(gradient.defined()) << parameter.key() << " has no gradient";
    EXPECT_TRUE(gradient.isfinite().all().item<bool>()) << parameter.key();
    EXPECT_GT(gradient.abs().max().item<double>(), 0) << parameter.key() << " has no gradient";
  }
}

TEST_P(BackboneTrainingLaws, TakesAStepWithEveryLossAndEveryView) {
  for (const PluginCase& plugin : CasesOf(Losses())) {
    for (const CalibrationConfig::Weights weights : kViewWeights) {
      SCOPED_TRACE(testing::PrintToString(plugin) + ", " +
                   CalibrationConfig::Weights_Name(weights));
      const auto model = Make(info_);
      const auto snapshot = Make(info_, 2);
      const std::vector<WeightedLoss> losses = OneLoss(plugin);
      ASSERT_TRUE(model != nullptr && snapshot != nullptr && !losses.empty());
      if (losses[0].loss->teaches_views() && !HaveGradient(weights)) continue;
      CalibrationConfig config;
      config.set_view_weights(weights);
      torch::optim::Adam adam(model->parameters(), torch::optim::AdamOptions(1e-3));
      Backbone& for_views = weights == CalibrationConfig::EPOCH_SNAPSHOT ? *snapshot : *model;
      const auto report =
          TrainStep({*model, for_views, adam, losses, config}, RandomBatch({4, 1, 6}, info_, 2));
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_EQ(report->input.views.size(), losses[0].loss->views().size());
      for (const auto& parameter : model->named_parameters()) {
        EXPECT_TRUE(parameter.value().isfinite().all().item<bool>()) << parameter.key();
      }
    }
  }
}

// One utterance leaves nothing to normalize over and nothing to contrast.
TEST_P(BackboneTrainingLaws, TakesAStepOnOneUtterance) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  const auto losses = MakeLosses(AllLosses(1), info_);
  ASSERT_TRUE(losses.ok()) << losses.status();
  torch::optim::Adam adam(model->parameters(), torch::optim::AdamOptions(1e-3));
  CalibrationConfig config;
  config.set_view_weights(CalibrationConfig::LIVE_WITH_GRADIENT);
  const StateDict before = StateOf(*model);
  const auto report =
      TrainStep({*model, *model, adam, *losses, config}, RandomBatch({1}, info_, 2));
  ASSERT_TRUE(report.ok()) << report.status();
  bool moved = false;
  for (const auto& [name, value] : StateOf(*model)) {
    EXPECT_TRUE(value.isfinite().all().item<bool>()) << name;
    moved = moved || !torch::equal(value, before.at(name));
  }
  EXPECT_TRUE(moved);
}

// Features are finite, but their products need not be: a step is taken with finite numbers or not
// at all.
TEST_P(BackboneTrainingLaws, FeaturesThatOverflowInsideSpoilNothing) {
  for (const double scale : {1e10, 1e20, 1e30, 1e38}) {
    SCOPED_TRACE(testing::Message() << "features of " << scale);
    const auto model = Make(info_);
    ASSERT_NE(model, nullptr);
    const auto losses = MakeLosses(AllLosses(1), info_);
    ASSERT_TRUE(losses.ok()) << losses.status();
    Batch batch = RandomBatch({4, 1, 3}, info_, 2);
    for (Modality& modality : batch.modalities) {
      for (Tensor& stream : modality.streams) stream = stream.clamp(-1, 1) * scale;
    }
    torch::optim::Adam adam(model->parameters(), torch::optim::AdamOptions(1e-3));
    const StateDict before = StateOf(*model);
    const auto report = TrainStep({*model, *model, adam, *losses}, batch);
    if (report.ok()) {
      for (const auto& [name, value] : StateOf(*model)) {
        EXPECT_TRUE(value.isfinite().all().item<bool>()) << name;
      }
      continue;
    }
    EXPECT_EQ(report.status().code(), absl::StatusCode::kOutOfRange) << report.status();
    for (const auto& parameter : model->named_parameters()) {
      EXPECT_TRUE(torch::equal(parameter.value(), before.at(parameter.key()))) << parameter.key();
    }
  }
}

TEST_P(BackboneTrainingLaws, CalibratingWithWeightZeroCostsNothing) {
  RunConfig without = AllLosses(0);
  ASSERT_GT(without.losses_size(), 0);
  for (int i = without.losses_size() - 1; i >= 0; --i) {
    if (without.losses(i).weight() == 0) without.mutable_losses()->DeleteSubrange(i, 1);
  }
  const StateDict want = Train(without);
  const StateDict got = Train(AllLosses(0));
  ASSERT_FALSE(want.empty());
  ASSERT_EQ(got.size(), want.size());
  for (const auto& [name, value] : want) EXPECT_TRUE(torch::equal(got.at(name), value)) << name;
  // And the same comparison sees a difference where there is one.
  const StateDict calibrated = Train(AllLosses(0.5));
  bool all_equal = true;
  for (const auto& [name, value] : want) {
    all_equal = all_equal && torch::equal(calibrated.at(name), value);
  }
  EXPECT_EQ(all_equal, without.losses_size() == AllLosses(1).losses_size())
      << "calibrating changed nothing";
}

// A batch from which no view removes anything: one speaker per conversation, or with `alone` each
// utterance by itself; features that are the same, and so their mean, all through a conversation.
Batch NothingToRemove(const DatasetInfo& info, bool alone) {
  Batch batch =
      RandomBatch(alone ? std::vector<int64_t>{1, 1, 1} : std::vector<int64_t>{4, 1, 6}, info, 2);
  for (Modality& modality : batch.modalities) {
    for (Tensor& stream : modality.streams) {
      stream = torch::zeros_like(stream);
      // Sums of a few of them are exact.
      for (int64_t b = 0; b < batch.num_conversations(); ++b) {
        stream[b].slice(0, 0, batch.lengths[b].item<int64_t>()).fill_(0.25 * (b + 1));
      }
    }
  }
  batch.speakers = torch::zeros_like(batch.speakers);
  // A backbone may read which evidence there is, which a view changes in any case.
  batch.evidence = Tensor();
  return batch;
}

TEST_P(BackboneTrainingLaws, AViewThatRemovesNothingIsTheFullPredictionWhereTheyArePaired) {
  const auto model = Make(info_);
  ASSERT_NE(model, nullptr);
  CalibrationConfig config;
  for (const bool alone : {false, true}) {
    for (const View& view : AllViews(info_)) {
      if (!alone && view.kind == View::Kind::kSameSpeaker) continue;
      const auto input = PredictPaired(*model, NothingToRemove(info_, alone), {view}, config);
      ASSERT_TRUE(input.ok()) << input.status();
      SCOPED_TRACE(view.name());
      ExpectSameBits(input->views[0].prediction, input->full);
    }
  }
}

TEST_P(BackboneTrainingLaws, PairedViewsLeaveWhatTheFullPredictionLeaves) {
  const auto model = Make(info_, 1);
  const auto alone = Make(info_, 1);
  ASSERT_TRUE(model != nullptr && alone != nullptr);
  const Batch batch = RandomBatch({4, 1, 6}, info_, 2);
  at::Generator generator = at::globalContext().defaultGenerator(torch::kCPU);
  const Tensor begin = generator.get_state();
  const Prediction expected = Predict(*alone, batch);
  const Tensor end = generator.get_state();
  for (const View& view : AllViews(info_)) {
    generator.set_state(begin);
    Predict(*alone, ApplyView(batch, view, CalibrationConfig::REAL_UTTERANCES));
    EXPECT_TRUE(torch::equal(generator.get_state(), end))
        << "draws other random numbers without " << view.name() << ", so that masks do not pair";
  }
  generator.set_state(begin);
  const auto input = PredictPaired(*model, batch, AllViews(info_), CalibrationConfig());
  ASSERT_TRUE(input.ok()) << input.status();
  // Views may be part of the same pass.
  ExpectNear(input->full, expected, kReordered);
  EXPECT_TRUE(torch::equal(generator.get_state(), end));
  const auto only_full = Make(info_, 1);
  generator.set_state(begin);
  Predict(*only_full, batch);
  const StateDict want = StateOf(*only_full);
  for (const auto& [name, value] : StateOf(*model)) {
    EXPECT_TRUE(torch::equal(value, want.at(name))) << name;
  }
}

TEST_P(BackboneTrainingLaws, ACheckpointBringsBackTheSameBits) {
  const auto model = Make(info_, 1);
  const auto restored = Make(info_, 2);
  ASSERT_TRUE(model != nullptr && restored != nullptr);
  // A step, so that whatever is trained or counted has moved.
  torch::optim::Adam adam(model->parameters(), torch::optim::AdamOptions(1e-2));
  const Batch batch = RandomBatch({3, 5}, info_, 2);
  torch::nll_loss(Predict(*model, batch).log_probs, batch.labels).backward();
  adam.step();
  const std::string path = absl::StrCat(testing::TempDir(), "/conformance.pth");
  const absl::Status written = WriteCheckpoint(path, StateOf(*model), CheckpointMetadata());
  ASSERT_TRUE(written.ok()) << written;
  const auto checkpoint = ReadCheckpoint(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const absl::Status loaded = LoadState(checkpoint->state, *restored, path);
  ASSERT_TRUE(loaded.ok()) << loaded;
  model->eval();
  restored->eval();
  const torch::NoGradGuard no_grad;
  const Batch other = RandomBatch({4, 2}, info_, 3);
  ExpectSameBits(Predict(*restored, other), Predict(*model, other));
}

TEST_P(BackboneTrainingLaws, LearnsThreeConversationsByHeart) {
  const auto model = Make(info_, 1, Dropout::kNone);
  ASSERT_NE(model, nullptr);
  const Batch batch = RandomBatch({3, 5, 4}, info_, 2);
  torch::optim::Adam adam(model->parameters(), torch::optim::AdamOptions(1e-2));
  double first = 0;
  double last = 0;
  // Most need a tenth of it.
  constexpr int kSteps = 1000;
  for (int step = 0; step < kSteps; ++step) {
    const Tensor loss = torch::nll_loss(Predict(*model, batch).log_probs, batch.labels);
    last = loss.item<double>();
    if (step == 0) first = last;
    if (last < 0.5 * first) return;
    ASSERT_TRUE(loss.requires_grad());
    adam.zero_grad();
    loss.backward();
    adam.step();
  }
  // Twelve utterances of random features: any model with a working gradient gets there.
  ADD_FAILURE() << "after " << kSteps << " steps the loss is " << last << ", and was " << first
                << "; expected less than half of it";
}

INSTANTIATE_TEST_SUITE_P(Registered, BackboneTrainingLaws, testing::ValuesIn(CasesOf(Backbones())),
                         CaseName);

}  // namespace
}  // namespace cmerc::conformance
