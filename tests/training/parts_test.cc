#include "training/parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/optim/sgd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "calibration/weighted_losses.h"
#include "core/dataset.h"
#include "storage/module_state.h"
#include "storage/trained_backbone.h"
#include "tests/training/lockstep.h"
#include "tests/training/tiny_run.h"
#include "training/parts_check.h"
#include "training/train_step.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(SliceOfTest, SizesDifferByAtMostOneAndNothingIsLeftOut) {
  for (const int64_t total : {0, 1, 3, 8, 21}) {
    for (const int64_t runs : {1, 2, 3, 8}) {
      int64_t next = 0;
      for (int64_t i = 0; i < runs; ++i) {
        const Slice run = SliceOf(total, runs, i);
        EXPECT_EQ(run.begin, next);
        EXPECT_GE(run.size(), total / runs);
        EXPECT_LE(run.size(), (total + runs - 1) / runs);
        next = run.end;
      }
      EXPECT_EQ(next, total);
    }
  }
}

// A part is what its conversations are by themselves.
TEST(CutBatchTest, IsTheBatchOfItsConversations) {
  PreparedData data = Prepare(Calibrated());
  std::vector<Conversation> conversations(data.conversations.begin(),
                                          data.conversations.begin() + 4);
  conversations[2].labels = conversations[2].labels.clone();
  conversations[2].labels[0] = kUnlabelled;
  for (const ContextScope scope : {ContextScope::kConversation, ContextScope::kPast}) {
    data.info.context = scope;
    const Batch all = MakeBatch(conversations, data.info);
    for (const Slice& run : {Slice{0, 1}, Slice{1, 3}, Slice{0, 4}, Slice{3, 4}}) {
      const Batch part = CutBatch(all, run);
      const Batch alone =
          MakeBatch(absl::MakeConstSpan(conversations).subspan(run.begin, run.size()), data.info);
      ASSERT_TRUE(ValidateBatch(part, data.info).ok());
      for (size_t m = 0; m < alone.modalities.size(); ++m) {
        EXPECT_EQ(part.modalities[m].name, alone.modalities[m].name);
        for (size_t s = 0; s < alone.modalities[m].streams.size(); ++s) {
          EXPECT_TRUE(part.modalities[m].streams[s].equal(alone.modalities[m].streams[s]));
        }
      }
      EXPECT_TRUE(part.speakers.equal(alone.speakers));
      EXPECT_TRUE(part.context.equal(alone.context));
      EXPECT_TRUE(part.lengths.equal(alone.lengths));
      EXPECT_TRUE(part.labels.equal(alone.labels));
      EXPECT_TRUE(part.evidence.equal(alone.evidence));
      EXPECT_EQ(part.scope, alone.scope);
      const int64_t labelled = (alone.labels != kUnlabelled).sum().item<int64_t>();
      ASSERT_TRUE(part.labelled.defined());
      EXPECT_EQ(part.labelled.size(0), labelled);
    }
  }
}

// The same additions whoever makes them: of numbers whose sum depends on the order.
TEST(PartSumsTest, TheOrderDoesNotDependOnWhoAdds) {
  torch::manual_seed(1);
  const torch::Tensor numbers = torch::randn({8, 50}) * torch::logspace(-3, 3, 8).unsqueeze(1);
  const torch::Tensor expected = ((numbers[0] + numbers[1]) + (numbers[2] + numbers[3])) +
                                 ((numbers[4] + numbers[5]) + (numbers[6] + numbers[7]));
  EXPECT_FALSE(expected.equal(numbers.sum(0)));
  for (int64_t processes = 1; processes <= 8; ++processes) {
    PartSums total;
    for (int64_t rank = 0; rank < processes; ++rank) {
      const Slice run = SliceOf(8, processes, rank);
      PartSums mine;
      for (int64_t part = run.begin; part < run.end; ++part)
        mine.Add({part, 1, numbers[part].clone()});
      const std::vector<PartSums::Node> nodes = PartSums::NodesOf(run);
      ASSERT_EQ(mine.nodes().size(), nodes.size());
      for (size_t i = 0; i < nodes.size(); ++i) {
        EXPECT_EQ(mine.nodes()[i].first, nodes[i].first);
        total.Add({nodes[i].first, nodes[i].size, mine.nodes()[i].sum});
      }
    }
    ASSERT_EQ(total.nodes().size(), 1U);
    EXPECT_TRUE(total.nodes()[0].sum.equal(expected)) << processes;
  }
}

constexpr char kModelWithoutDropout[] = R"pb(
  backbone {
    [type.googleapis.com/cmerc.M3NetOptions] {
      input_width: 8
      graph_width: 6
      hypergraph_layers: 1
      high_frequency_layers: 1
      dropout: 0
    }
  }
  training { batch_size: 5 }
)pb";

// A step of plain descent, and what it leaves.
struct Taken {
  absl::StatusOr<StepReport> report = absl::UnknownError("not taken");
  StateDict state;
  torch::Tensor random;  // drawn after it
};

Taken TakeStep(const RunConfig& config, const PreparedData& data, int64_t conversations,
               ProcessGroup* processes) {
  Taken taken;
  const auto model = MakeBackbone(config, data.info), snapshot = MakeBackbone(config, data.info);
  const auto losses = MakeLosses(config, data.info);
  TORCH_CHECK(model.ok() && snapshot.ok() && losses.ok(), losses.status().ToString());
  (*model)->train();
  torch::manual_seed(7);
  torch::optim::SGD descent((*model)->parameters(), torch::optim::SGDOptions(1));
  StepContext context{**model, **snapshot,           descent,
                      *losses, config.calibration(), config.training()};
  context.processes = processes;
  const Batch batch =
      MakeBatch(absl::MakeConstSpan(data.conversations).subspan(0, conversations), data.info);
  taken.report = TrainStep(context, batch);
  taken.state = StateOf(**model);
  taken.random = torch::rand({3});
  return taken;
}

RunConfig InParts(RunConfig config, int parts, CalibrationConfig::Weights weights) {
  config.mutable_training()->set_parts(parts);
  config.mutable_calibration()->set_view_weights(weights);
  return config;
}

class StepInPartsTest : public testing::TestWithParam<CalibrationConfig::Weights> {};

// BatchNorm included, whose statistics are those of the whole batch, also of parts of one utterance
// and with more parts than conversations.
TEST_P(StepInPartsTest, WithoutDropoutItIsAStepOfTheWholeBatch) {
  const RunConfig config = Config(absl::StrCat(kTask, kRanking), kModelWithoutDropout);
  const PreparedData data = Prepare(config);
  for (const int64_t conversations : {5, 1}) {
    const Taken whole = TakeStep(InParts(config, 0, GetParam()), data, conversations, nullptr);
    ASSERT_TRUE(whole.report.ok()) << whole.report.status();
    for (const int parts : {1, 2, 8}) {
      const Taken taken =
          TakeStep(InParts(config, parts, GetParam()), data, conversations, nullptr);
      ASSERT_TRUE(taken.report.ok()) << taken.report.status();
      EXPECT_NEAR(taken.report->total, whole.report->total, 1e-5);
      EXPECT_EQ(taken.report->predicted, whole.report->predicted);
      for (const auto& [name, value] : whole.state) {
        EXPECT_TRUE(torch::allclose(taken.state.at(name).to(torch::kFloat64),
                                    value.to(torch::kFloat64), 1e-5, 1e-5))
            << name << ", parts " << parts;
      }
    }
  }
}

// With dropout, and for each number of processes, among them one that does not divide the parts and
// one that leaves some without a conversation.
TEST_P(StepInPartsTest, AnyNumberOfProcessesTakesTheSameStep) {
  const RunConfig config = InParts(Calibrated(), 8, GetParam());
  const PreparedData data = Prepare(config);
  const Taken alone = TakeStep(config, data, 5, nullptr);
  ASSERT_TRUE(alone.report.ok()) << alone.report.status();
  for (const int size : {2, 3, 4, 8}) {
    std::vector<Taken> taken(size);
    RunInLockstep(size, [&](ProcessGroup& group) {
      taken[group.rank()] = TakeStep(config, data, 5, &group);
    });
    for (const Taken& one : taken) {
      ASSERT_TRUE(one.report.ok()) << one.report.status();
      EXPECT_EQ(one.report->total, alone.report->total);
      EXPECT_EQ(one.report->losses, alone.report->losses);
      EXPECT_TRUE(one.random.equal(alone.random));
      for (const auto& [name, value] : alone.state) {
        EXPECT_TRUE(one.state.at(name).equal(value)) << name << ", processes " << size;
      }
    }
  }
}

// Each part has dropout masks of its own, and the step draws one number from what the run has.
TEST_P(StepInPartsTest, WhatIsDrawnAfterItDoesNotDependOnTheParts) {
  const PreparedData data = Prepare(Calibrated());
  const Taken two = TakeStep(InParts(Calibrated(), 2, GetParam()), data, 5, nullptr);
  const Taken eight = TakeStep(InParts(Calibrated(), 8, GetParam()), data, 5, nullptr);
  ASSERT_TRUE(two.report.ok() && eight.report.ok());
  EXPECT_NE(two.report->total, eight.report->total);
  EXPECT_TRUE(two.random.equal(eight.random));
}

INSTANTIATE_TEST_SUITE_P(ViewWeights, StepInPartsTest,
                         testing::Values(CalibrationConfig::EPOCH_SNAPSHOT, CalibrationConfig::LIVE,
                                         CalibrationConfig::LIVE_WITH_GRADIENT,
                                         CalibrationConfig::LIVE_PAIRED),
                         [](const auto& info) {
                           return CalibrationConfig::Weights_Name(info.param);
                         });

// Running statistics move once in a step.
TEST(StepInPartsTest, RunningStatisticsAreThoseOfTheWholeBatch) {
  const RunConfig config = InParts(Calibrated(), 4, CalibrationConfig::EPOCH_SNAPSHOT);
  const PreparedData data = Prepare(config);
  const Taken taken = TakeStep(config, data, 5, nullptr);
  ASSERT_TRUE(taken.report.ok()) << taken.report.status();
  EXPECT_EQ(taken.state.at("normBNa.num_batches_tracked").item<int64_t>(), 1);
}

absl::Status Check(const std::string& backbone, const std::string& more = "") {
  const RunConfig config = Config(absl::StrCat(kTask, more, "training { parts: 2 }"),
                                  absl::StrCat("backbone { ", backbone, " }"));
  const PreparedData data = Prepare(config);
  const auto model = MakeBackbone(config, data.info);
  TORCH_CHECK(model.ok(), model.status().ToString());
  const StateDict before = StateOf(**model);
  const absl::Status status = CheckParts(**model, "the backbone", config);
  for (const auto& [name, value] : StateOf(**model)) EXPECT_TRUE(value.equal(before.at(name)));
  return status;
}

TEST(CheckPartsTest, RefusesWhatBatchMatesHaveASayIn) {
  EXPECT_TRUE(Check("[type.googleapis.com/cmerc.M3NetOptions] {}").ok());
  const absl::Status official = Check(
      "[type.googleapis.com/cmerc.M3NetOptions] { semantics: OFFICIAL input_width: 512 "
      "graph_width: 512 }");
  EXPECT_EQ(official.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(official.message()),
              testing::AllOf(HasSubstr("the backbone to a conversation depend on the others"),
                             HasSubstr("OFFICIAL"), HasSubstr("parts: 0")));
}

TEST(CheckPartsTest, RefusesStatisticsWithParameters) {
  const absl::Status status =
      Check("[type.googleapis.com/cmerc.M3NetOptions] {}", "calibration { evidence_flags: true }");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("norm: LN"));
  EXPECT_TRUE(Check("[type.googleapis.com/cmerc.M3NetOptions] { norm: LN }",
                    "calibration { evidence_flags: true }")
                  .ok());
}

}  // namespace
}  // namespace cmerc
