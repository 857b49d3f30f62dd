// The operators for PyTorch are the plugins: the same bits, forwards and backwards.
#include <ATen/core/dispatch/Dispatcher.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "absl/strings/str_cat.h"
#include "core/loss.h"
#include "registry/registry.h"
#include "tests/losses/loss_testing.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr int64_t kClasses = 5;

// The values of the operator cmerc::losses, called as Python calls it.
std::vector<Tensor> CallOperator(const std::vector<std::string>& options, const LossInput& input,
                                 const DatasetInfo& info) {
  std::vector<std::string> modalities, views;
  std::vector<Tensor> view_log_probs;
  for (const ModalityInfo& modality : info.modalities) modalities.push_back(modality.name);
  for (const ViewPrediction& view : input.views) {
    views.push_back(view.view.name());
    view_log_probs.push_back(view.prediction.log_probs);
  }
  torch::jit::Stack stack = {options, input.full.log_probs, input.full.features, input.labels,
                             views,   view_log_probs,       modalities,          info.class_counts};
  c10::Dispatcher::singleton().findSchemaOrThrow("cmerc::losses", "").callBoxed(&stack);
  return stack.at(0).toTensorVector();
}

LossInput Input(torch::ScalarType dtype) {
  LossInput input = RandomLossInput(LossTestInfo(kClasses), /*num_utterances=*/37,
                                    /*feature_width=*/11, dtype, /*seed=*/5);
  input.full.log_probs.requires_grad_();
  input.full.features.requires_grad_();
  for (ViewPrediction& view : input.views) view.prediction.log_probs.requires_grad_();
  return input;
}

std::vector<Tensor> Gradients(const Tensor& loss, const LossInput& input) {
  std::vector<Tensor> leaves = {input.full.log_probs, input.full.features};
  for (const ViewPrediction& view : input.views) leaves.push_back(view.prediction.log_probs);
  return torch::autograd::grad({loss}, leaves, {}, /*retain_graph=*/true, /*create_graph=*/false,
                               /*allow_unused=*/true);
}

class OperatorsTest : public testing::TestWithParam<std::string> {};

TEST_P(OperatorsTest, LossesHaveThePluginsBits) {
  const DatasetInfo info = LossTestInfo(kClasses);
  const auto loss = LossFromText(GetParam(), "", info);
  ASSERT_TRUE(loss.ok()) << loss.status();
  for (const torch::ScalarType dtype : {torch::kFloat32, torch::kFloat64}) {
    const LossInput input = Input(dtype), same = Input(dtype);
    const absl::StatusOr<Tensor> want = (*loss)->Compute(input);
    ASSERT_TRUE(want.ok()) << want.status();
    const Tensor got =
        CallOperator({absl::StrCat("[type.googleapis.com/", GetParam(), "] {}")}, same, info)[0];
    EXPECT_TRUE(got.equal(*want)) << got << *want;
    const std::vector<Tensor> of_plugin = Gradients(*want, input),
                              of_operator = Gradients(got, same);
    int64_t with_gradient = 0;
    for (size_t i = 0; i < of_plugin.size(); ++i) {
      ASSERT_EQ(of_operator[i].defined(), of_plugin[i].defined()) << i;
      if (!of_plugin[i].defined()) continue;
      ++with_gradient;
      EXPECT_TRUE(of_operator[i].equal(of_plugin[i])) << i;
    }
    EXPECT_GT(with_gradient, 0);
  }
}

std::vector<std::string> AllLosses() {
  std::vector<std::string> names;
  for (const auto& [name, plugin] : Losses().plugins()) names.push_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Losses, OperatorsTest, testing::ValuesIn(AllLosses()),
                         [](const auto& info) { return ShortPluginName(info.param); });

TEST(LossesOperatorTest, ComputesAllOfOneInput) {
  const DatasetInfo info = LossTestInfo(kClasses);
  const LossInput input = Input(torch::kFloat32);
  const std::vector<std::string> options = {"[type.googleapis.com/cmerc.CsclOptions] {}",
                                            "[type.googleapis.com/cmerc.MsclOptions] {}"};
  const std::vector<Tensor> both = CallOperator(options, input, info);
  ASSERT_EQ(both.size(), 2);
  EXPECT_TRUE(both[0].equal(CallOperator({options[0]}, input, info)[0]));
  EXPECT_TRUE(both[1].equal(CallOperator({options[1]}, input, info)[0]));
  EXPECT_FALSE(both[0].equal(both[1]));
}

}  // namespace
}  // namespace cmerc
