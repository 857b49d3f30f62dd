// Which tensors of a checkpoint a model starts with, and what is said where they do not fit.
#include "training/starting_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include <limits>
#include <memory>
#include <string>

#include "storage/module_state.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(FitsPatternTest, StarsAndQuestionMarks) {
  EXPECT_TRUE(FitsPattern("gru.weight", "gru.weight"));
  EXPECT_TRUE(FitsPattern("gru.weight", "gru.*"));
  EXPECT_TRUE(FitsPattern("gru.weight", "*weight"));
  EXPECT_TRUE(FitsPattern("gru.weight", "*"));
  EXPECT_TRUE(FitsPattern("gru.weight", "*gru.weight*"));
  EXPECT_TRUE(FitsPattern("gru.weight", "gr?.*t"));
  EXPECT_TRUE(FitsPattern("abcabd", "*abd"));
  EXPECT_TRUE(FitsPattern("", "*"));
  EXPECT_FALSE(FitsPattern("gru.weight", "gru"));
  EXPECT_FALSE(FitsPattern("gru.weight", "gru.?"));
  EXPECT_FALSE(FitsPattern("gru.weight", "weight"));
  EXPECT_FALSE(FitsPattern("gru.weight", "*bias"));
  EXPECT_FALSE(FitsPattern("gru.weight", ""));
  EXPECT_FALSE(FitsPattern("", "?"));
}

// encoder.0: Linear, encoder.1: BatchNorm1d, head: Linear.
struct Net : torch::nn::Module {
  explicit Net(int64_t classes) {
    auto encoder = register_module("encoder", std::make_shared<torch::nn::Module>());
    encoder->register_module("0", torch::nn::Linear(4, 5));
    norm = encoder->register_module("1", torch::nn::BatchNorm1d(5));
    register_module("head", torch::nn::Linear(5, classes));
  }
  torch::nn::BatchNorm1d norm = nullptr;
};

class StartTest : public testing::Test {
 protected:
  StartTest() {
    torch::manual_seed(1);
    trained_ = std::make_unique<Net>(3);
    trained_->norm->running_mean.fill_(0.5);
    trained_->norm->num_batches_tracked.fill_(8);
    checkpoint_.state = StateOf(*trained_);
    checkpoint_.metadata.emplace();
    checkpoint_.metadata->set_epoch(12);
    training_.set_init_checkpoint("a.pth");
  }

  std::string Refusal(const torch::nn::Module& model) {
    const absl::Status status =
        ChooseStartingWeights(training_, checkpoint_, info_, model).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  }
  StartingWeights Choose(const torch::nn::Module& model) {
    auto start = ChooseStartingWeights(training_, checkpoint_, info_, model);
    EXPECT_TRUE(start.ok()) << start.status();
    return start.ok() ? *std::move(start) : StartingWeights();
  }

  std::unique_ptr<Net> trained_;
  Checkpoint checkpoint_;
  TrainingConfig training_;
  DatasetInfo info_;
};

TEST_F(StartTest, TakesEverythingRunningStatisticsIncluded) {
  Net model(3);
  const StartingWeights start = Choose(model);
  EXPECT_EQ(start.report.tensors(), 9);
  EXPECT_EQ(DescribeStart(start.report), "starts with 9 of 9 tensors of a.pth (epoch 12)");
  ASSERT_TRUE(StartWith(start, model).ok());
  const StateDict state = StateOf(model);
  for (const auto& [name, tensor] : checkpoint_.state) EXPECT_TRUE(state.at(name).equal(tensor));
  EXPECT_EQ(state.at("encoder.1.num_batches_tracked").item<int64_t>(), 8);
}

TEST_F(StartTest, NamesEveryShapeThatDiffersAndHowToLeaveItOut) {
  EXPECT_EQ(
      Refusal(Net(7)),
      "training.init_checkpoint = a.pth: 2 of 9 tensors do not fit this model: "
      "head.bias has shape [3], want [7]; head.weight has shape [3, 5], want [7, 5]; to leave "
      "them out, and to start those of the model as the seed draws them: --set='training { "
      "init_skip: [\"head.*\"] }'");
}

TEST_F(StartTest, WhatIsSkippedStaysAsTheSeedDrewItAndIsNamed) {
  training_.add_init_skip("head.*");
  Net model(7);
  const StateDict before = StateOf(model);
  const StartingWeights start = Choose(model);
  EXPECT_EQ(DescribeStart(start.report),
            "starts with 7 of 9 tensors of a.pth (epoch 12); as the seed draws them: head.bias, "
            "head.weight; unused: head.bias, head.weight");
  ASSERT_TRUE(StartWith(start, model).ok());
  const StateDict after = StateOf(model);
  EXPECT_TRUE(after.at("head.weight").equal(before.at("head.weight")));
  EXPECT_FALSE(after.at("encoder.0.weight").equal(before.at("encoder.0.weight")));
}

TEST_F(StartTest, TakesOnlyWhatIsAskedFor) {
  training_.add_init_parameters("encoder.0.*");
  training_.add_init_skip("*.bias");
  const StartingWeights start = Choose(Net(7));
  EXPECT_EQ(start.taken.size(), 1u);
  EXPECT_EQ(start.taken.count("encoder.0.weight"), 1u);
}

TEST_F(StartTest, NamesThatOnlyOneOfThemHas) {
  checkpoint_.state.erase("encoder.1.running_var");
  checkpoint_.state["extra.deep.weight"] = torch::ones({1});
  checkpoint_.state["extra.deep.bias"] = torch::ones({1});
  EXPECT_THAT(Refusal(Net(3)),
              AllOf(HasSubstr("3 of 11 tensors do not fit this model: the file has no "
                              "encoder.1.running_var; the model has no extra.deep.bias; "),
                    HasSubstr("init_skip: [\"encoder.1.running_var\", \"extra.*\"]")));
  // What it says is what works.
  training_.add_init_skip("encoder.1.running_var");
  training_.add_init_skip("extra.*");
  const StartingWeights start = Choose(Net(3));
  EXPECT_THAT(start.report.fresh(), ElementsAre("encoder.1.running_var"));
  EXPECT_THAT(start.report.unused(), ElementsAre("extra.deep.bias", "extra.deep.weight"));
}

TEST_F(StartTest, KeepsThePatternsThatAreThereInWhatItProposes) {
  training_.add_init_skip("encoder.1.*");
  EXPECT_THAT(Refusal(Net(2)), HasSubstr("init_skip: [\"head.*\", \"encoder.1.*\"]"));
}

TEST_F(StartTest, NumbersThatAreNotFiniteAreRefused) {
  checkpoint_.state["head.bias"][1] = std::numeric_limits<float>::quiet_NaN();
  checkpoint_.state["encoder.0.bias"] = torch::full({5}, 1e300, torch::kFloat64);
  EXPECT_THAT(Refusal(Net(3)), AllOf(HasSubstr("encoder.0.bias holds numbers that are not finite"),
                                     HasSubstr("head.bias holds numbers that are not finite")));
}

TEST_F(StartTest, APatternThatFitsNothingIsRefused) {
  training_.add_init_parameters("encodr.*");
  training_.add_init_skip("classifier");
  EXPECT_THAT(Refusal(Net(3)),
              AllOf(HasSubstr("training.init_parameters: \"encodr.*\" fits no name"),
                    HasSubstr("training.init_skip: \"classifier\" fits no name"),
                    HasSubstr("leave nothing")));
}

TEST_F(StartTest, AnotherModelIsSaidToBeOne) {
  checkpoint_.metadata->mutable_config()->mutable_backbone()->set_type_url(
      "type.googleapis.com/cmerc.GruOptions");
  EXPECT_THAT(
      Refusal(*torch::nn::Linear(9, 9)),
      AllOf(HasSubstr("nothing in it is taken: no tensor fits this model: "),
            HasSubstr("; its own backbone is cmerc.GruOptions"), Not(HasSubstr("init_skip"))));
}

// The classifier fits, and its rows would be taken for those of other classes.
TEST_F(StartTest, WarnsOfClassesInAnotherOrder) {
  for (const char* name : {"joy", "anger", "fear"}) {
    checkpoint_.metadata->mutable_dataset()->add_class_names(name);
  }
  info_.class_names = {"joy", "anger", "fear"};
  EXPECT_EQ(Choose(Net(3)).report.warning(), "");
  info_.class_names = {"anger", "joy", "fear"};
  EXPECT_THAT(Choose(Net(3)).report.warning(),
              AllOf(HasSubstr("it was trained on the classes joy anger fear, in that order, and "
                              "this run has anger joy fear"),
                    HasSubstr("head.bias, head.weight may be such ones")));
  // Of other classes the classifier cannot have been taken, whatever else has three rows.
  info_.class_names = {"anger", "joy"};
  EXPECT_EQ(Choose(Net(3)).report.warning(), "");
  info_.class_names = {"anger", "joy", "fear"};
  training_.add_init_skip("head.*");
  EXPECT_EQ(Choose(Net(3)).report.warning(), "");
}

TEST_F(StartTest, AModelOfOtherShapesIsNotWrittenTo) {
  const StartingWeights start = Choose(Net(3));
  Net other(4);
  const StateDict before = StateOf(other);
  EXPECT_EQ(StartWith(start, other).code(), absl::StatusCode::kInvalidArgument);
  for (const auto& [name, tensor] : StateOf(other)) EXPECT_TRUE(tensor.equal(before.at(name)));
}

}  // namespace
}  // namespace cmerc
