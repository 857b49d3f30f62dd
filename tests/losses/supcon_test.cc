// The numbers of supcon: by hand, and from double loops over its paper's formula in Python.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/losses/loss_testing.h"

namespace cmerc {
namespace {

LossInput Input(const torch::Tensor& features, const std::vector<int64_t>& labels) {
  LossInput input;
  input.labels = torch::tensor(labels, torch::kInt64);
  input.full.log_probs = torch::full({features.size(0), 3}, std::log(1.0 / 3),
                                     features.options().requires_grad(false));
  input.full.features = features;
  return input;
}

torch::Tensor Compute(const std::string& options, const LossInput& input) {
  const auto loss = LossFromText("cmerc.SupConOptions", options, LossTestInfo(3));
  EXPECT_TRUE(loss.ok()) << loss.status();
  const absl::StatusOr<torch::Tensor> value = (*loss)->Compute(input);
  EXPECT_TRUE(value.ok()) << value.status();
  return *value;
}

double Value(const std::string& options, const LossInput& input) {
  return Compute(options, input).item<double>();
}

// Classes with three, two and one utterance.
LossInput SixUtterances() {
  const torch::Tensor features = torch::tensor({{1.0, 2.0, -1.0},
                                                {0.5, -1.0, 3.0},
                                                {2.0, 0.0, 1.0},
                                                {-1.0, 1.0, 1.0},
                                                {0.0, 3.0, -2.0},
                                                {1.0, 1.0, 1.0}},
                                               torch::dtype(torch::kFloat64).requires_grad(true));
  return Input(features, {0, 0, 0, 1, 1, 2});
}

// Two anchors that agree, and one utterance at a right angle: each anchor has the probability
// e / (e + 1) for its positive.
TEST(SupConTest, IsTheNegativeLogarithmOfThePositivesShare) {
  const LossInput input =
      Input(torch::tensor({{2.0, 0.0}, {0.5, 0.0}, {0.0, 3.0}}, torch::kFloat64), {0, 0, 1});
  EXPECT_NEAR(Value("temperature: 1", input), std::log1p(std::exp(-1)), 1e-15);
}

TEST(SupConTest, IsThePapersLOut) {
  // Sums of 6 x 6 float64 terms. The paper's L_in would be 4.331 for temperature 0.1.
  EXPECT_NEAR(Value("temperature: 0.1", SixUtterances()), 6.184948109098967, 1e-13);
  EXPECT_NEAR(Value("temperature: 0.5", SixUtterances()), 2.0038794044774706, 1e-14);
}

TEST(SupConTest, GradientIsThatOfAutogradOverThePapersFormula) {
  const LossInput input = SixUtterances();
  Compute("temperature: 0.5", input).backward();
  const torch::Tensor expected =
      torch::tensor({{-0.2366469826301418, 0.0412465558616747, -0.1541538709067922},
                     {-0.1057857581826207, -0.0092444305237052, 0.0145494828558684},
                     {-0.0266651136806550, -0.0100358531152070, 0.0533302273613100},
                     {0.0993000192496223, -0.2578098789193434, 0.3571098981689658},
                     {0.1805067958201588, -0.0615951017783542, -0.0923926526675313},
                     {-0.0090630937599392, -0.0101134074162548, 0.0191765011761940}},
                    torch::kFloat64);
  // The numbers above have 16 decimals.
  EXPECT_TRUE(torch::allclose(input.full.features.grad(), expected, 0, 1e-14))
      << input.full.features.grad() - expected;
}

TEST(SupConTest, LeavesOutAnchorsWithoutPositives) {
  // A pair has nothing to be told from: log(1).
  const torch::Tensor features = torch::tensor({{1.0, 0.0}, {0.0, 1.0}}, torch::kFloat64);
  EXPECT_EQ(Value("", Input(features, {1, 1})), 0);
  // Nobody has a positive.
  const LossInput input = Input(features.clone().set_requires_grad(true), {0, 1});
  const torch::Tensor loss = Compute("", input);
  EXPECT_EQ(loss.item<double>(), 0);
  loss.backward();
  EXPECT_EQ(input.full.features.grad().abs().max().item<double>(), 0);
}

TEST(SupConTest, DoesNotSeeTheLengthOfFeatures) {
  LossInput input = SixUtterances();
  const double loss = Value("", input);
  // Powers of 2, so exact.
  input.full.features =
      input.full.features * torch::tensor({1.0, 2.0, 4.0, 0.5, 1024.0, 0.25}).unsqueeze(1);
  EXPECT_EQ(Value("", input), loss);
}

TEST(SupConTest, GivesFeaturesOfLengthZeroNoGradient) {
  LossInput input = SixUtterances();
  input.full.features.detach().slice(0, 1, 2).zero_();
  Compute("", input).backward();
  EXPECT_EQ(input.full.features.grad()[1].abs().max().item<double>(), 0);
  EXPECT_TRUE(input.full.features.grad().isfinite().all().item<bool>());
}

TEST(SupConTest, IsStableInFloat32AtTheLowestTemperature) {
  // exp(1 / 0.001) overflows even float64.
  const LossInput exact = SixUtterances();
  LossInput input = SixUtterances();
  input.full.features = input.full.features.to(torch::kFloat32);
  const double expected = Value("temperature: 0.001", exact);
  // Similarities of up to 1000 in float32.
  EXPECT_NEAR(Value("temperature: 0.001", input), expected, 1000 * 1e-6);
}

TEST(SupConTest, NamesWhatIsWrong) {
  const auto refusal = [](const std::string& options) {
    const auto loss = LossFromText("cmerc.SupConOptions", options, LossTestInfo(3));
    EXPECT_EQ(loss.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(loss.status().message());
  };
  EXPECT_EQ(refusal("temperature: 0"), "cmerc.SupConOptions: temperature = 0, must be >= 0.001");
  EXPECT_EQ(refusal("temperature: inf"),
            "cmerc.SupConOptions: temperature = inf, must be finite and >= 0.001");

  LossInput input = SixUtterances();
  input.full.features = input.full.features.slice(0, 0, 5);
  const auto loss = LossFromText("cmerc.SupConOptions", "", LossTestInfo(3));
  ASSERT_TRUE(loss.ok()) << loss.status();
  const absl::Status status = (*loss)->Compute(input).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(status.message()).find("needs features [N, H] of the same N utterances"),
            std::string::npos)
      << status;
}

}  // namespace
}  // namespace cmerc
