// Laws that every registered loss obeys.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/loss.h"
#include "tests/conformance/plugin_cases.h"
#include "tests/losses/loss_testing.h"

namespace cmerc::conformance {
namespace {

// Every tensor that a loss may be differentiated by.
std::vector<torch::Tensor*> Leaves(LossInput& input) {
  std::vector<torch::Tensor*> leaves = {&input.full.log_probs, &input.full.features};
  for (ViewPrediction& view : input.views) {
    leaves.push_back(&view.prediction.log_probs);
    leaves.push_back(&view.prediction.features);
  }
  return leaves;
}

LossInput Permuted(const LossInput& input, const torch::Tensor& order) {
  const auto permute = [&](const Prediction& prediction) {
    return Prediction{prediction.log_probs.index_select(0, order),
                      prediction.features.index_select(0, order)};
  };
  LossInput result;
  result.full = permute(input.full);
  for (const ViewPrediction& view : input.views) {
    result.views.push_back({view.view, permute(view.prediction)});
  }
  result.labels = input.labels.index_select(0, order);
  return result;
}

class LossLaws : public testing::TestWithParam<PluginCase> {
 protected:
  void SetUp() override {
    auto loss = Create<Loss, const DatasetInfo&>(Losses(), GetParam(), info_);
    ASSERT_TRUE(loss.ok()) << loss.status();
    loss_ = *std::move(loss);
  }

  torch::Tensor Compute(const LossInput& input) const {
    absl::StatusOr<torch::Tensor> loss = loss_->Compute(input);
    EXPECT_TRUE(loss.ok()) << loss.status();
    return loss.ok() ? *std::move(loss) : torch::tensor(std::nan(""));
  }

  void ExpectFiniteWithGradient(LossInput input) const {
    for (torch::Tensor* leaf : Leaves(input)) leaf->set_requires_grad(true);
    const torch::Tensor loss = Compute(input);
    ASSERT_EQ(loss.dim(), 0) << "want a scalar";
    EXPECT_TRUE(std::isfinite(loss.item<double>())) << loss.item<double>();
    ASSERT_TRUE(loss.requires_grad());
    loss.backward();
    for (const torch::Tensor* leaf : Leaves(input)) {
      if (leaf->grad().defined()) {
        EXPECT_TRUE(leaf->grad().isfinite().all().item<bool>()) << leaf->grad();
      }
    }
  }

  const DatasetInfo info_ = LossTestInfo(4);
  std::unique_ptr<Loss> loss_;
};

TEST_P(LossLaws, IsAFiniteScalarWithAFiniteGradient) {
  for (const int64_t n : {1, 2, 3, 40}) {
    SCOPED_TRACE(testing::Message() << n << " utterances");
    ExpectFiniteWithGradient(RandomLossInput(info_, n, 7, torch::kFloat32, 3));
  }
}

TEST_P(LossLaws, IsFiniteWhereTheModelIsCertain) {
  LossInput input = RandomLossInput(info_, 6, 7, torch::kFloat32, 4);
  // Probability 1 for the truth, in float32 exactly, with and without the evidence.
  const torch::Tensor certain =
      torch::where(torch::one_hot(input.labels, 4) == 1, 0.0, -100.0).to(torch::kFloat32);
  input.full.log_probs = certain;
  for (ViewPrediction& view : input.views) view.prediction.log_probs = certain.clone();
  ExpectFiniteWithGradient(input);
}

TEST_P(LossLaws, IsFiniteForFeaturesOfLengthZeroAndForEqualOnes) {
  LossInput input = RandomLossInput(info_, 6, 7, torch::kFloat32, 5);
  input.full.features.slice(0, 0, 2).zero_();
  input.full.features.slice(0, 2, 5).fill_(0.3);
  ExpectFiniteWithGradient(input);
}

TEST_P(LossLaws, DoesNotDependOnTheOrderOfUtterances) {
  const LossInput input = RandomLossInput(info_, 25, 7, torch::kFloat64, 6);
  const double loss = Compute(input).item<double>();
  const double permuted = Compute(Permuted(input, torch::randperm(25))).item<double>();
  // Sums of at most 25 x 25 float64 terms in another order.
  EXPECT_NEAR(permuted, loss, 1e-12 * std::max(1.0, std::abs(loss)));
}

TEST_P(LossLaws, GradientIsTheSlope) {
  LossInput input = RandomLossInput(info_, 9, 5, torch::kFloat64, 7);
  for (torch::Tensor* leaf : Leaves(input)) leaf->set_requires_grad(true);
  const torch::Tensor loss = Compute(input);
  ASSERT_TRUE(loss.requires_grad());
  loss.sum().backward();
  for (torch::Tensor* leaf : Leaves(input)) {
    // A loss that teaches views takes the full prediction as it is.
    if (loss_->teaches_views() && leaf == &input.full.log_probs) continue;
    const torch::Tensor gradient = leaf->grad().defined() ? leaf->grad() : torch::zeros_like(*leaf);
    torch::NoGradGuard no_grad;
    const torch::Tensor values = leaf->view(-1);
    for (int64_t i = 0; i < values.numel(); ++i) {
      constexpr double kStep = 1e-6;
      const double value = values[i].item<double>();
      values[i].fill_(value + kStep);
      const double above = Compute(input).sum().item<double>();
      values[i].fill_(value - kStep);
      const double below = Compute(input).sum().item<double>();
      values[i].fill_(value);
      const double slope = (above - below) / (2 * kStep);
      // Rounding: 1e-15 * loss / step. Truncation: step^2 * third derivative, which grows with
      // 1 / temperature^3 = 8e6 at most.
      ASSERT_NEAR(gradient.view(-1)[i].item<double>(), slope, 2e-6 * std::max(1.0, std::abs(slope)))
          << "element " << i;
    }
  }
}

TEST_P(LossLaws, LeavesItsInputAsItWas) {
  const LossInput input = RandomLossInput(info_, 12, 7, torch::kFloat32, 10);
  LossInput copy = Permuted(input, torch::arange(12));
  Compute(input);
  EXPECT_TRUE(torch::equal(input.labels, copy.labels));
  LossInput same = input;
  const std::vector<torch::Tensor*> before = Leaves(copy);
  const std::vector<torch::Tensor*> after = Leaves(same);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(torch::equal(*after[i], *before[i])) << i;
}

TEST_P(LossLaws, AsksForEachViewOnceAndNamesTheOneThatIsMissing) {
  const std::vector<View> views = loss_->views();
  for (size_t missing = 0; missing < views.size(); ++missing) {
    EXPECT_EQ(std::count(views.begin(), views.end(), views[missing]), 1)
        << "asks more than once for the view " << views[missing].name();
    LossInput input = RandomLossInput(info_, 3, 7, torch::kFloat32, 8);
    const auto place =
        std::find_if(input.views.begin(), input.views.end(),
                     [&](const ViewPrediction& view) { return view.view == views[missing]; });
    ASSERT_NE(place, input.views.end()) << "no such view: " << views[missing].name();
    input.views.erase(place);
    const absl::StatusOr<torch::Tensor> loss = loss_->Compute(input);
    EXPECT_EQ(loss.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(loss.status().message()).find(views[missing].name()), std::string::npos)
        << loss.status();
  }
}

// Whoever puts back what it remembers has the same loss again, bit for bit; nothing but a step
// changes that.
TEST_P(LossLaws, RemembersStepsAloneAndAllOfItIsItsState) {
  const LossInput input = RandomLossInput(info_, 12, 7, torch::kFloat32, 12);
  const auto copied = [](const Loss& loss) {
    std::map<std::string, torch::Tensor> state;
    for (const auto& [name, tensor] : loss.State()) state[name] = tensor.clone();
    return state;
  };
  const auto expect_equal = [](const std::map<std::string, torch::Tensor>& state,
                               const std::map<std::string, torch::Tensor>& expected) {
    ASSERT_EQ(state.size(), expected.size());
    for (const auto& [name, tensor] : expected) {
      ASSERT_EQ(state.count(name), 1u) << name;
      EXPECT_TRUE(state.at(name).equal(tensor)) << name;
    }
  };
  const auto first = copied(*loss_);
  Compute(input);
  expect_equal(loss_->State(), first);
  for (const uint64_t seed : {13, 14}) {
    const absl::Status status =
        loss_->AfterStep(RandomLossInput(info_, 30, 7, torch::kFloat32, seed));
    ASSERT_TRUE(status.ok()) << status;
  }
  const auto other = Create<Loss, const DatasetInfo&>(Losses(), GetParam(), info_);
  ASSERT_TRUE(other.ok()) << other.status();
  expect_equal((*other)->State(), first);
  const auto later = copied(*loss_);
  for (auto& [name, tensor] : (*other)->State()) torch::Tensor(tensor).copy_(later.at(name));
  EXPECT_TRUE((*other)->Compute(input)->equal(Compute(input)));
  ASSERT_TRUE(loss_->AfterStep(input).ok());
  ASSERT_TRUE((*other)->AfterStep(input).ok());
  expect_equal((*other)->State(), loss_->State());
}

TEST_P(LossLaws, OfOneViewItNeedsThatAlone) {
  for (const View& view : loss_->views()) {
    const std::unique_ptr<Loss> alone = loss_->OfView(view);
    if (alone == nullptr) continue;
    EXPECT_EQ(alone->views(), std::vector<View>{view});
    EXPECT_EQ(alone->teaches_views(), loss_->teaches_views());
    LossInput input = RandomLossInput(info_, 12, 7, torch::kFloat32, 15);
    const auto of_another = [&](const ViewPrediction& one) { return !(one.view == view); };
    input.views.erase(std::remove_if(input.views.begin(), input.views.end(), of_another),
                      input.views.end());
    const absl::StatusOr<torch::Tensor> value = alone->Compute(input);
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_TRUE(std::isfinite(value->item<double>()));
  }
}

// Data is free to have one modality, or five.
TEST_P(LossLaws, WorksWithTheViewsThatTheDataHas) {
  DatasetInfo one = info_;
  one.modalities.resize(1);
  DatasetInfo five = info_;
  five.modalities.push_back({"gaze", 2, 1});
  five.modalities.push_back({"eeg", 2, 1});
  for (const DatasetInfo& info : {one, five}) {
    const auto loss = Create<Loss, const DatasetInfo&>(Losses(), GetParam(), info);
    if (!loss.ok()) {
      // Options may name a modality that this data has not; the defaults may not.
      EXPECT_EQ(loss.status().code(), absl::StatusCode::kInvalidArgument);
      EXPECT_FALSE(GetParam().options.empty()) << loss.status();
      continue;
    }
    const auto value = (*loss)->Compute(RandomLossInput(info, 8, 5, torch::kFloat32, 11));
    ASSERT_TRUE(value.ok()) << value.status();
    EXPECT_TRUE(std::isfinite(value->item<double>()));
  }
}

TEST_P(LossLaws, RefusesABatchWithoutUtterances) {
  const LossInput input = RandomLossInput(info_, 0, 7, torch::kFloat32, 9);
  EXPECT_EQ(loss_->Compute(input).status().code(), absl::StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(Registered, LossLaws, testing::ValuesIn(CasesOf(Losses())), CaseName);

TEST(LossSuite, HasSomethingToTest) { ExpectSomethingToTest(Losses()); }

}  // namespace
}  // namespace cmerc::conformance
