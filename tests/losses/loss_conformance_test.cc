// Laws that every registered loss obeys, with its default options and in its other modes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <ostream>

#include "tests/losses/loss_testing.h"

namespace cmerc {
namespace {

struct Case {
  std::string type;
  std::string options;
};

void PrintTo(const Case& test_case, std::ostream* out) {
  *out << test_case.type << " {" << test_case.options << "}";
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const auto& [type, plugin] : Losses().plugins()) cases.push_back({type, ""});
  cases.push_back({"cmerc.NllOptions", "class_weights: INVERSE_FREQUENCY"});
  cases.push_back({"cmerc.FocalOptions", "gamma: 0.5"});
  cases.push_back({"cmerc.FocalOptions", "form: OFFICIAL_ALL_CLASSES"});
  cases.push_back({"cmerc.CalibrationRankingOptions", "views: 'audio' views: 'same_speaker'"});
  cases.push_back({"cmerc.MsclOptions", "semantics: OFFICIAL"});
  cases.push_back({"cmerc.MsclOptions", "temperature: 0.005"});
  cases.push_back({"cmerc.CsclOptions", "semantics: OFFICIAL"});
  return cases;
}

std::string CaseName(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.type + info.param.options;
  name.erase(std::remove_if(name.begin(), name.end(),
                            [](unsigned char c) { return std::isalnum(c) == 0; }),
             name.end());
  return name;
}

// Every tensor that a loss may be differentiated by.
std::vector<torch::Tensor*> Leaves(LossInput& input) {
  std::vector<torch::Tensor*> leaves = {&input.full.log_probs, &input.full.features};
  for (ViewPrediction& view : input.views) leaves.push_back(&view.prediction.log_probs);
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

class LossConformanceTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    auto loss = LossFromText(GetParam().type, GetParam().options, info_);
    ASSERT_TRUE(loss.ok()) << loss.status();
    loss_ = *std::move(loss);
  }

  torch::Tensor Compute(const LossInput& input) const {
    absl::StatusOr<torch::Tensor> loss = loss_->Compute(input);
    EXPECT_TRUE(loss.ok()) << loss.status();
    return *std::move(loss);
  }

  void ExpectFiniteWithGradient(LossInput input) const {
    for (torch::Tensor* leaf : Leaves(input)) leaf->set_requires_grad(true);
    const torch::Tensor loss = Compute(input);
    ASSERT_EQ(loss.dim(), 0);
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

TEST_P(LossConformanceTest, IsAFiniteScalarWithAFiniteGradient) {
  for (const int64_t n : {1, 2, 3, 40}) {
    SCOPED_TRACE(n);
    ExpectFiniteWithGradient(RandomLossInput(info_, n, 7, torch::kFloat32, 3));
  }
}

TEST_P(LossConformanceTest, IsFiniteWhereTheModelIsCertain) {
  LossInput input = RandomLossInput(info_, 6, 7, torch::kFloat32, 4);
  // Probability 1 for the truth, in float32 exactly, with and without the evidence.
  const torch::Tensor certain =
      torch::where(torch::one_hot(input.labels, 4) == 1, 0.0, -100.0).to(torch::kFloat32);
  input.full.log_probs = certain;
  for (ViewPrediction& view : input.views) view.prediction.log_probs = certain.clone();
  ExpectFiniteWithGradient(input);
}

TEST_P(LossConformanceTest, IsFiniteForFeaturesOfLengthZeroAndForEqualOnes) {
  LossInput input = RandomLossInput(info_, 6, 7, torch::kFloat32, 5);
  input.full.features.slice(0, 0, 2).zero_();
  input.full.features.slice(0, 2, 5).fill_(0.3);
  ExpectFiniteWithGradient(input);
}

TEST_P(LossConformanceTest, DoesNotDependOnTheOrderOfUtterances) {
  const LossInput input = RandomLossInput(info_, 25, 7, torch::kFloat64, 6);
  const double loss = Compute(input).item<double>();
  const double permuted = Compute(Permuted(input, torch::randperm(25))).item<double>();
  // Sums of at most 25 x 25 float64 terms in another order.
  EXPECT_NEAR(permuted, loss, 1e-12 * std::max(1.0, std::abs(loss)));
}

TEST_P(LossConformanceTest, GradientIsTheSlope) {
  LossInput input = RandomLossInput(info_, 9, 5, torch::kFloat64, 7);
  for (torch::Tensor* leaf : Leaves(input)) leaf->set_requires_grad(true);
  Compute(input).backward();
  for (torch::Tensor* leaf : Leaves(input)) {
    const torch::Tensor gradient = leaf->grad().defined() ? leaf->grad() : torch::zeros_like(*leaf);
    torch::NoGradGuard no_grad;
    const torch::Tensor values = leaf->view(-1);
    for (int64_t i = 0; i < values.numel(); ++i) {
      constexpr double kStep = 1e-6;
      const double value = values[i].item<double>();
      values[i].fill_(value + kStep);
      const double above = Compute(input).item<double>();
      values[i].fill_(value - kStep);
      const double below = Compute(input).item<double>();
      values[i].fill_(value);
      const double slope = (above - below) / (2 * kStep);
      // Rounding: 1e-15 * loss / step. Truncation: step^2 * third derivative, which grows with
      // 1 / temperature^3 = 8e6 at most.
      EXPECT_NEAR(gradient.view(-1)[i].item<double>(), slope, 2e-6 * std::max(1.0, std::abs(slope)))
          << "element " << i;
    }
  }
}

TEST_P(LossConformanceTest, AsksForEachViewOnceAndNamesTheOneThatIsMissing) {
  const std::vector<View> views = loss_->views();
  for (size_t missing = 0; missing < views.size(); ++missing) {
    EXPECT_EQ(std::count(views.begin(), views.end(), views[missing]), 1);
    LossInput input = RandomLossInput(info_, 3, 7, torch::kFloat32, 8);
    input.views.erase(
        std::find_if(input.views.begin(), input.views.end(),
                     [&](const ViewPrediction& view) { return view.view == views[missing]; }));
    const absl::StatusOr<torch::Tensor> loss = loss_->Compute(input);
    EXPECT_EQ(loss.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(loss.status().message()).find(views[missing].name()), std::string::npos)
        << loss.status();
  }
}

TEST_P(LossConformanceTest, RefusesABatchWithoutUtterances) {
  const LossInput input = RandomLossInput(info_, 0, 7, torch::kFloat32, 9);
  EXPECT_EQ(loss_->Compute(input).status().code(), absl::StatusCode::kInvalidArgument);
}

INSTANTIATE_TEST_SUITE_P(AllLosses, LossConformanceTest, testing::ValuesIn(Cases()), CaseName);

TEST(LossLinkageTest, TheBundleLinksTheseLosses) {
  std::vector<std::string> types;
  for (const auto& [type, plugin] : Losses().plugins()) types.push_back(type);
  EXPECT_EQ(types, (std::vector<std::string>{"cmerc.CalibrationRankingOptions", "cmerc.CsclOptions",
                                             "cmerc.FocalOptions", "cmerc.LabelSmoothingOptions",
                                             "cmerc.MsclOptions", "cmerc.NllOptions",
                                             "cmerc.SupConOptions"}));
}

}  // namespace
}  // namespace cmerc
