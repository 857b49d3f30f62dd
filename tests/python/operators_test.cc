// The operators for PyTorch are the plugins: the same bits, forwards and backwards.
#include <ATen/core/dispatch/Dispatcher.h>
#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/weighted_losses.h"
#include "core/loss.h"
#include "registry/registry.h"
#include "tests/losses/loss_testing.h"

namespace cmerc {
namespace {

using torch::Tensor;

constexpr int64_t kClasses = 5;

// What the operator, cmerc::losses or one with its arguments, returns to a call as Python's.
std::vector<Tensor> CallOperator(const std::vector<std::string>& options, const LossInput& input,
                                 const DatasetInfo& info, const std::vector<Tensor>& memory = {},
                                 const char* name = "cmerc::losses", bool drawn = false) {
  std::vector<std::string> modalities, views;
  std::vector<Tensor> view_log_probs;
  for (const ModalityInfo& modality : info.modalities) modalities.push_back(modality.name);
  for (const ViewPrediction& view : input.views) {
    views.push_back(view.view.name());
    view_log_probs.push_back(view.prediction.log_probs);
  }
  torch::jit::Stack stack = {options, input.full.log_probs, input.full.features, input.labels,
                             views,   view_log_probs,       modalities,          info.class_counts,
                             memory};
  if (name == std::string("cmerc::losses")) stack.emplace_back(drawn);
  c10::Dispatcher::singleton().findSchemaOrThrow(name, "").callBoxed(&stack);
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

// Gives what a loss remembers other values than it begins with, and returns them.
std::vector<Tensor> Remembering(const Loss& loss) {
  std::vector<Tensor> memory;
  for (const auto& [name, tensor] : loss.State()) {
    Tensor(tensor).fill_(0.25 * static_cast<double>(memory.size() + 1));
    memory.push_back(tensor.clone());
  }
  return memory;
}

class OperatorsTest : public testing::TestWithParam<std::string> {};

TEST_P(OperatorsTest, LossesHaveThePluginsBits) {
  const DatasetInfo info = LossTestInfo(kClasses);
  const auto loss = LossFromText(GetParam(), "", info);
  ASSERT_TRUE(loss.ok()) << loss.status();
  const std::string options = absl::StrCat("[type.googleapis.com/", GetParam(), "] {}");
  const std::vector<Tensor> memory = Remembering(**loss);
  for (const torch::ScalarType dtype : {torch::kFloat32, torch::kFloat64}) {
    const LossInput input = Input(dtype), same = Input(dtype);
    const absl::StatusOr<Tensor> want = (*loss)->Compute(input);
    ASSERT_TRUE(want.ok()) << want.status();
    const Tensor got = CallOperator({options}, same, info, memory)[0];
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

TEST_P(OperatorsTest, LossesRememberWhatThePluginsDo) {
  const DatasetInfo info = LossTestInfo(kClasses);
  const auto loss = LossFromText(GetParam(), "", info);
  ASSERT_TRUE(loss.ok()) << loss.status();
  const std::vector<Tensor> memory = Remembering(**loss);
  const LossInput input = Input(torch::kFloat32);
  const std::vector<Tensor> got =
      CallOperator({absl::StrCat("[type.googleapis.com/", GetParam(), "] {}")}, input, info, memory,
                   "cmerc::remember_step");
  ASSERT_TRUE((*loss)->AfterStep(input).ok());
  ASSERT_EQ(got.size(), memory.size());
  size_t i = 0;
  for (const auto& [name, want] : (*loss)->State()) {
    EXPECT_TRUE(got[i].equal(want)) << name;
    EXPECT_FALSE(got[i].equal(memory[i])) << name;
    ++i;
  }
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

TEST_P(OperatorsTest, LossesOfDrawnViewsAreThoseOfTraining) {
  const DatasetInfo info = LossTestInfo(kClasses);
  const auto loss = LossFromText(GetParam(), "", info);
  ASSERT_TRUE(loss.ok()) << loss.status();
  if ((*loss)->views().empty() || !CanDrawViews(**loss)) return;
  LossInput input = Input(torch::kFloat32);
  std::vector<View> drawn;
  for (const size_t v : {0, 2}) drawn.push_back((*loss)->views().at(v % (*loss)->views().size()));
  const auto is_drawn = [&](const ViewPrediction& view) {
    return std::find(drawn.begin(), drawn.end(), view.view) != drawn.end();
  };
  const absl::StatusOr<Tensor> want = LossOfDrawn(**loss, drawn, input);
  ASSERT_TRUE(want.ok()) << want.status();
  input.views.erase(std::stable_partition(input.views.begin(), input.views.end(), is_drawn),
                    input.views.end());
  const std::string options = absl::StrCat("[type.googleapis.com/", GetParam(), "] {}");
  EXPECT_TRUE(CallOperator({options}, input, info, {}, "cmerc::losses", true)[0].equal(*want));
}

TEST(LossesOperatorTest, ALossWithoutADrawnViewIsNoZero) {
  const std::string options =
      "[type.googleapis.com/cmerc.ViewNllOptions] { views: 'same_speaker' }";
  LossInput input = Input(torch::kFloat32);
  input.views.resize(1);
  try {
    CallOperator({options}, input, LossTestInfo(kClasses), {}, "cmerc::losses", true);
    FAIL() << "nothing was thrown";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("losses[0]: none of its views (same_speaker)"));
  }
}

TEST(LossesOperatorTest, NoMemoryIsNotTakenForTheFirst) {
  const std::string options = "[type.googleapis.com/cmerc.TargetShareOptions] {}";
  try {
    CallOperator({options}, Input(torch::kFloat32), LossTestInfo(kClasses));
    FAIL() << "nothing was thrown";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("memory has 0 tensors, want 5 (weight/"));
  }
}

}  // namespace
}  // namespace cmerc
