// MSCL and CSCL against their definition written out in loops, and their edge cases.
#include <gtest/gtest.h>
#include <torch/nn/functional/normalization.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "tests/losses/loss_testing.h"

namespace cmerc {
namespace {

const DatasetInfo& Info() {
  static const auto* info = new DatasetInfo(LossTestInfo(2));
  return *info;
}

torch::Tensor Loss(const std::string& type, const std::string& options, const LossInput& input,
                   const DatasetInfo& info = Info()) {
  const auto loss = LossFromText(type, options, info);
  EXPECT_TRUE(loss.ok()) << loss.status();
  absl::StatusOr<torch::Tensor> value = (*loss)->Compute(input);
  EXPECT_TRUE(value.ok()) << value.status();
  return *std::move(value);
}

// Predictions that give every view the confidence labels `labels[view]`; classes are all 0.
LossInput InputWithLabels(const torch::Tensor& features,
                          const std::vector<std::vector<int64_t>>& labels,
                          const DatasetInfo& info = Info()) {
  const int64_t n = features.size(0);
  LossInput input;
  input.labels = torch::zeros({n}, torch::kInt64);
  input.full = {torch::tensor({0.8, 0.2}, features.dtype()).log().repeat({n, 1}), features};
  const std::vector<View> views = AllViews(info);
  for (size_t v = 0; v < views.size(); ++v) {
    torch::Tensor log_probs = input.full.log_probs.clone();
    for (int64_t i = 0; i < n; ++i) {
      const double probability = labels[v][i] == 1 ? 0.6 : 0.9;
      log_probs[i] = torch::tensor({probability, 1 - probability}, features.dtype()).log();
    }
    input.views.push_back({views[v], {log_probs, {}}});
  }
  return input;
}

// All five views, each with the labels `labels`.
LossInput InputWithSameLabels(const torch::Tensor& features, const std::vector<int64_t>& labels) {
  return InputWithLabels(features, std::vector<std::vector<int64_t>>(5, labels));
}

// One view of the definition in losses/contrastive.h, in float64.
double OfOneView(const torch::Tensor& features, const std::vector<int64_t>& labels,
                 double temperature, bool official) {
  const torch::Tensor unit = torch::nn::functional::normalize(features.to(torch::kFloat64));
  const torch::Tensor cosines = unit.mm(unit.t());
  const auto n = static_cast<int64_t>(labels.size());
  double count[2] = {0, 0};
  for (const int64_t label : labels) ++count[label];
  const double same_factor = official ? 1.0F + 1e-7F : 1;
  const double different_factor = official ? 1e-7F : 0;
  double sum = 0;
  int64_t anchors = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!official && count[labels[i]] == 1) continue;
    double positive = 0;
    double all = 0;
    for (int64_t j = 0; j < n; ++j) {
      if (j == i) continue;
      const double similarity = std::exp(cosines[i][j].item<double>() / temperature);
      positive += similarity * (labels[i] == labels[j] ? same_factor : different_factor);
      all += similarity;
    }
    sum -= static_cast<double>(n) / count[labels[i]] * std::log(positive / all);
    ++anchors;
  }
  return anchors == 0 ? 0 : sum / static_cast<double>(anchors);
}

TEST(ContrastiveTest, IsItsDefinition) {
  torch::manual_seed(11);
  // The last row of labels leaves utterance 3 alone; the first is all the same.
  const std::vector<std::vector<int64_t>> labels = {{1, 1, 1, 1, 1, 1, 1},
                                                    {0, 1, 0, 1, 1, 0, 1},
                                                    {1, 1, 0, 0, 0, 0, 1},
                                                    {0, 0, 1, 1, 1, 1, 1},
                                                    {0, 0, 0, 1, 0, 0, 0}};
  const LossInput input = InputWithLabels(torch::randn({7, 4}, torch::kFloat64), labels);
  for (const bool official : {false, true}) {
    for (const double temperature : {0.07, 0.5}) {
      const auto expected = [&](int first, int last) {
        double sum = 0;
        for (int v = first; v <= last; ++v) {
          sum += OfOneView(input.full.features, labels[v], temperature, official);
        }
        return sum;
      };
      const std::string options = absl::StrCat("temperature: ", temperature,
                                               " semantics: ", official ? "OFFICIAL" : "CORRECTED");
      SCOPED_TRACE(options);
      // Float32 class weights.
      EXPECT_NEAR(Loss("cmerc.MsclOptions", options, input).item<double>(), expected(0, 2), 1e-6);
      EXPECT_NEAR(Loss("cmerc.CsclOptions", options, input).item<double>(), expected(3, 4), 1e-6);
    }
  }
}

// More views than the groups of utterances are numbered for.
TEST(ContrastiveTest, OfSevenModalities) {
  DatasetInfo info = LossTestInfo(2);
  info.modalities.clear();
  for (int m = 0; m < 7; ++m) info.modalities.push_back({absl::StrCat("m", m), 4, 1});
  torch::manual_seed(13);
  std::vector<std::vector<int64_t>> labels(9, std::vector<int64_t>(12));
  for (size_t v = 0; v < labels.size(); ++v) {
    for (size_t i = 0; i < labels[v].size(); ++i) labels[v][i] = (i * (v + 3) / 5) % 2;
  }
  const LossInput input = InputWithLabels(torch::randn({12, 4}, torch::kFloat64), labels, info);
  double expected = 0;
  for (int v = 0; v < 7; ++v) expected += OfOneView(input.full.features, labels[v], 0.1, false);
  // Float32 class weights.
  EXPECT_NEAR(Loss("cmerc.MsclOptions", "temperature: 0.1", input, info).item<double>(), expected,
              2e-6);
}

TEST(ContrastiveTest, AnAnchorAloneWithItsLabelIsLeftOutOrAddsAConstant) {
  // All features equal: every cosine is 1, so that P / (P + Q) of the three others is 2 / 3.
  const LossInput input = InputWithSameLabels(torch::ones({4, 3}), {0, 0, 1, 0});
  const double others = 4.0 / 3 * std::log(1.5);
  EXPECT_NEAR(Loss("cmerc.CsclOptions", "", input).item<double>(), 2 * others, 1e-5);
  EXPECT_NEAR(Loss("cmerc.CsclOptions", "semantics: OFFICIAL", input).item<double>(),
              2 * (others * 3 / 4 + 16.1181), 1e-4);
}

TEST(ContrastiveTest, OnlyOneLabelIsNothingToContrast) {
  for (const std::string options : {"semantics: CORRECTED", "semantics: OFFICIAL"}) {
    SCOPED_TRACE(options);
    const LossInput input =
        InputWithSameLabels(torch::tensor({{1.0F, 2.0F}, {2.0F, 1.0F}}), {1, 1});
    // The official 1 + 1e-7 is 1 up to float32 rounding, for three views.
    EXPECT_NEAR(Loss("cmerc.MsclOptions", options, input).item<double>(), 0, 1e-6);
  }
}

TEST(ContrastiveTest, OneUtteranceIsZeroWithZeroGradient) {
  for (const std::string options : {"semantics: CORRECTED", "semantics: OFFICIAL"}) {
    SCOPED_TRACE(options);
    const torch::Tensor features = torch::ones({1, 3}).set_requires_grad(true);
    const torch::Tensor loss =
        Loss("cmerc.MsclOptions", options, InputWithSameLabels(features, {1}));
    EXPECT_EQ(loss.item<double>(), 0);
    loss.backward();
    EXPECT_TRUE(features.grad().equal(torch::zeros({1, 3})));
  }
}

TEST(ContrastiveTest, IsExactWhereTheExponentialsOverflow) {
  torch::manual_seed(12);
  const std::vector<int64_t> labels = {0, 1, 0, 1, 1};
  torch::Tensor features = torch::randn({5, 3});
  features[2] = -features[0];  // the only positive of utterance 0 is as far as can be
  features.set_requires_grad(true);
  const LossInput input = InputWithSameLabels(features, labels);
  // exp(1 / 0.01) is more than float32 holds, exp(-2 / 0.01) less.
  const torch::Tensor loss = Loss("cmerc.CsclOptions", "temperature: 0.01", input);
  const double expected = 2 * OfOneView(features.detach(), labels, 0.01, false);
  // Float32 cosines divided by 0.01.
  EXPECT_NEAR(loss.item<double>(), expected, 1e-5 * expected);
  loss.backward();
  EXPECT_GT(features.grad()[2].norm().item<double>(), 1);
}

TEST(ContrastiveTest, NaNFeaturesAreNotHiddenByDefault) {
  const torch::Tensor features = torch::ones({4, 3});
  features[1][1] = NAN;
  const LossInput input = InputWithSameLabels(features, {0, 1, 1, 0});
  EXPECT_TRUE(std::isnan(Loss("cmerc.MsclOptions", "", input).item<double>()));
  EXPECT_EQ(Loss("cmerc.MsclOptions", "semantics: OFFICIAL", input).item<double>(), 0);
}

// As the official code, which puts a new 0 in place of the loss.
TEST(ContrastiveTest, ALossThatOverflowsIsOfficiallyZeroAndSoIsItsGradient) {
  const torch::Tensor features = torch::ones({40, 3}).set_requires_grad(true);
  const LossInput input = InputWithSameLabels(features, std::vector<int64_t>(features.size(0), 1));
  const torch::Tensor loss =
      Loss("cmerc.MsclOptions", "semantics: OFFICIAL temperature: 0.0115", input);
  EXPECT_EQ(loss.item<double>(), 0);
  loss.backward();
  EXPECT_TRUE(features.grad().equal(torch::zeros_like(features)));
}

TEST(ContrastiveTest, AFeatureVectorOfLengthZeroGetsNoGradient) {
  const torch::Tensor features =
      torch::tensor({{0.0F, 0.0F}, {1.0F, 2.0F}, {3.0F, -1.0F}}).set_requires_grad(true);
  Loss("cmerc.MsclOptions", "", InputWithSameLabels(features, {1, 1, 0})).backward();
  EXPECT_TRUE(features.grad()[0].equal(torch::zeros({2})));
  EXPECT_GT(features.grad()[2].abs().max().item<double>(), 0);
}

TEST(ContrastiveTest, RefusesBadInputAndOptions) {
  LossInput input = InputWithSameLabels(torch::ones({3, 2}), {0, 1, 0});
  input.full.features = torch::Tensor();
  const auto loss = LossFromText("cmerc.MsclOptions", "", Info());
  ASSERT_TRUE(loss.ok()) << loss.status();
  EXPECT_EQ((*loss)->Compute(input).status().code(), absl::StatusCode::kInvalidArgument);

  EXPECT_EQ(LossFromText("cmerc.MsclOptions", "temperature: 0", Info()).status().message(),
            "cmerc.MsclOptions: temperature = 0, must be > 0");
  EXPECT_EQ(LossFromText("cmerc.CsclOptions", "temperature: inf", Info()).status().message(),
            "cmerc.CsclOptions: temperature = inf, must be finite and > 0");
  EXPECT_EQ(
      LossFromText("cmerc.CsclOptions", "temperature: 0.01 semantics: OFFICIAL", Info())
          .status()
          .message(),
      "cmerc.CsclOptions: temperature = 0.01 with semantics = OFFICIAL overflows float32, and "
      "the loss would always be 0; must be above 0.0113, or semantics CORRECTED");
}

}  // namespace
}  // namespace cmerc
