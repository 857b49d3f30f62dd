// Files that PyTorch saved: data/generate.py says how, and what they hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "storage/checkpoint.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

std::string Path(const std::string& name) { return "tests/storage/data/" + name; }

// The elements count up from `first`.
torch::Tensor Count(int64_t first, std::vector<int64_t> shape) {
  int64_t size = 1;
  for (const int64_t extent : shape) size *= extent;
  return torch::arange(first, first + size, torch::kInt64).view(shape).to(torch::kFloat32);
}

// That the state is `want`, no more and no less, in values and types.
void ExpectState(const StateDict& state, const StateDict& want) {
  for (const auto& [name, tensor] : want) {
    ASSERT_EQ(state.count(name), 1U) << name;
    const torch::Tensor& read = state.at(name);
    EXPECT_EQ(read.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(read.sizes() == tensor.sizes() && read.equal(tensor)) << name << "\n" << read;
    EXPECT_TRUE(read.is_contiguous()) << name;
    EXPECT_FALSE(read.requires_grad()) << name;
  }
  EXPECT_EQ(state.size(), want.size());
}

StateDict Module() {
  return {{"0.weight", Count(0, {2, 3})},
          {"0.bias", Count(10, {2})},
          {"1.weight", Count(20, {2})},
          {"1.bias", Count(30, {2})},
          {"1.running_mean", Count(40, {2})},
          {"1.running_var", Count(50, {2})},
          {"1.num_batches_tracked", torch::tensor(60, torch::kInt64)}};
}

class ModuleFileTest : public testing::TestWithParam<std::string> {};

TEST_P(ModuleFileTest, HoldsTheStateDict) {
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(Path(GetParam()));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  ExpectState(checkpoint->state, Module());
  EXPECT_FALSE(checkpoint->metadata.has_value());
}

INSTANTIATE_TEST_SUITE_P(Files, ModuleFileTest,
                         testing::Values("module.pth", "module_protocol3.pth",
                                         "module_protocol4.pth", "module_protocol5.pth",
                                         "state_dict_inside.pth"),
                         [](const auto& info) {
                           return info.param.substr(0, info.param.find('.'));
                         });

TEST(PythonFilesTest, ViewsOfOneStorage) {
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(Path("views.pth"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const torch::Tensor base = Count(0, {3, 4});
  ExpectState(checkpoint->state, {{"base", base},
                                  {"tied", base},
                                  {"row", base[1]},
                                  {"column", base.select(1, 2)},
                                  {"transposed", base.t()},
                                  {"block", base.narrow(0, 1, 2).narrow(1, 1, 2)},
                                  {"expanded", torch::full({5}, 7.0F)},
                                  {"same_values", base}});
}

TEST(PythonFilesTest, Parameters) {
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(Path("parameters.pth"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  ExpectState(checkpoint->state, {{"weight", Count(1, {2, 2})}, {"frozen", Count(5, {2})}});
}

TEST(PythonFilesTest, EveryType) {
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(Path("types.pth"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const torch::Tensor count = Count(0, {2, 2});
  ExpectState(checkpoint->state, {{"float32", count},
                                  {"float64", count.to(torch::kFloat64)},
                                  {"float16", count.to(torch::kFloat16)},
                                  {"bfloat16", count.to(torch::kBFloat16)},
                                  {"int64", count.to(torch::kInt64)},
                                  {"int32", count.to(torch::kInt32)},
                                  {"int16", count.to(torch::kInt16)},
                                  {"int8", count.to(torch::kInt8)},
                                  {"uint8", count.to(torch::kUInt8)},
                                  {"bool", count.to(torch::kBool)},
                                  {"scalar", torch::tensor(3.0F)},
                                  {"empty", torch::empty({0, 5})}});
}

TEST(PythonFilesTest, WhatATrainingScriptSaves) {
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(Path("training_state.pth"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  ExpectState(checkpoint->state, Module());
  EXPECT_EQ(checkpoint->note,
            "the weights are its entry \"model_state_dict\"; the names of the weights begin with "
            "\"module.\", which is left out");
}

struct Unreadable {
  std::string file;
  std::string says;
};

class UnreadableFileTest : public testing::TestWithParam<Unreadable> {};

TEST_P(UnreadableFileTest, SaysWhy) {
  const absl::Status status = ReadCheckpoint(Path(GetParam().file)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(
      std::string(status.message()),
      testing::AllOf(testing::StartsWith(Path(GetParam().file)), HasSubstr(GetParam().says)));
}

INSTANTIATE_TEST_SUITE_P(
    Files, UnreadableFileTest,
    testing::Values(Unreadable{"whole_module.pth", "this is a whole model"},
                    Unreadable{"bare_tensor.pth", "a state dict is a dict of tensors"},
                    Unreadable{"complex.pth", "torch.ComplexFloatStorage"},
                    Unreadable{"before_1_6.pth", "this is the format of PyTorch before 1.6"},
                    Unreadable{"two_models.pth", "2 dicts of tensors, \"model\", \"ema\""},
                    Unreadable{"deflated.pth", "is compressed"}),
    [](const auto& info) { return info.param.file.substr(0, info.param.file.find('.')); });

}  // namespace
}  // namespace cmerc
