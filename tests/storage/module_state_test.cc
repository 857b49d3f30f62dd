#include "storage/module_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include "absl/strings/str_cat.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Parameters and buffers, nested: a linear layer and batch normalization.
class SmallModule : public torch::nn::Module {
 public:
  SmallModule() {
    register_module("linear", linear);
    register_module("norm", norm);
    scale = register_parameter("scale", torch::ones({1}));
  }

  torch::nn::Linear linear{3, 2};
  torch::nn::BatchNorm1d norm{2};
  torch::Tensor scale;
};

const std::vector<std::string> kNames = {
    "linear.bias",       "linear.weight",    "norm.bias",   "norm.num_batches_tracked",
    "norm.running_mean", "norm.running_var", "norm.weight", "scale"};

// One more than every value.
StateDict Changed(const StateDict& state) {
  StateDict changed;
  for (const auto& [name, tensor] : state) changed[name] = tensor + 1;
  return changed;
}

bool Same(const StateDict& a, const StateDict& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a) {
    const auto it = b.find(name);
    if (it == b.end() || !it->second.equal(tensor)) return false;
  }
  return true;
}

TEST(ModuleStateTest, StateNamesParametersAndBuffersAsPythonDoes) {
  const SmallModule module;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : StateOf(module)) {
    names.push_back(name);
    EXPECT_FALSE(tensor.requires_grad()) << name;
  }
  EXPECT_EQ(names, kNames);
}

TEST(ModuleStateTest, StateIsACopy) {
  SmallModule module;
  const StateDict state = StateOf(module);
  {
    torch::NoGradGuard no_grad;
    module.scale.fill_(7);
    module.norm->running_mean.fill_(7);
  }
  EXPECT_EQ(state.at("scale").item<float>(), 1);
  EXPECT_EQ(state.at("norm.running_mean")[0].item<float>(), 0);
}

TEST(ModuleStateTest, LoadCopiesIntoTheModulesOwnTensors) {
  SmallModule module;
  const torch::Tensor before = module.linear->weight;
  const StateDict want = Changed(StateOf(module));
  const absl::Status status = LoadState(want, module, "file");
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(Same(StateOf(module), want));
  // An optimizer that holds the parameters keeps holding them.
  EXPECT_TRUE(module.linear->weight.is_same(before));
  EXPECT_TRUE(module.linear->weight.requires_grad());
  EXPECT_FALSE(module.linear->weight.is_alias_of(want.at("linear.weight")));
}

TEST(ModuleStateTest, AnotherTypeIsConverted) {
  SmallModule module;
  StateDict state = StateOf(module);
  state["scale"] = torch::full({1}, 0.5, torch::kFloat64);
  ASSERT_TRUE(LoadState(state, module, "file").ok());
  EXPECT_EQ(module.scale.scalar_type(), torch::kFloat32);
  EXPECT_EQ(module.scale.item<float>(), 0.5F);
}

TEST(ModuleStateTest, NamesEveryDifferenceAndCopiesNothing) {
  SmallModule module;
  const StateDict before = StateOf(module);
  StateDict state = Changed(before);
  state.erase("scale");
  state.erase("norm.running_var");
  state["extra"] = torch::ones({1});
  state["linear.weight"] = torch::ones({2, 4});
  state["linear.bias"] = torch::ones({});
  const absl::Status status = LoadState(state, module, "runs/a.pth");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(testing::StartsWith("runs/a.pth: "), HasSubstr("it has no scale"),
                    HasSubstr("it has no norm.running_var"), HasSubstr("the model has no extra"),
                    HasSubstr("linear.weight has shape [2, 4], want [2, 3]"),
                    HasSubstr("linear.bias has shape [], want [2]"), Not(HasSubstr("norm.bias"))));
  EXPECT_TRUE(Same(StateOf(module), before));
}

TEST(ModuleStateTest, CountsTheDifferencesBeyondTheFirstTen) {
  SmallModule module;
  StateDict state = StateOf(module);
  for (int i = 0; i < 25; ++i) state[absl::StrCat("extra", i)] = torch::ones({1});
  const absl::Status status = LoadState(state, module, "file");
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("extra17"), HasSubstr("15 more differences")));
}

}  // namespace
}  // namespace cmerc
