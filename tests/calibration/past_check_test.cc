#include "calibration/past_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using torch::Tensor;

DatasetInfo Info(ContextScope context) {
  DatasetInfo info;
  info.name = "past";
  info.modalities = {{"text", 3, 1}, {"audio", 3, 1}};
  info.class_names = {"a", "b", "c"};
  info.class_counts = {1, 1, 1};
  info.num_speakers = 2;
  info.context = context;
  return info;
}

// Adds to each utterance's features what `what` says.
enum class Sees { kContext, kNext, kSpeakerOfLast, kMeanOfText };

class Peeking final : public Backbone {
 public:
  Peeking(Sees what, ContextScope context) : Backbone(Info(context)), what_(what) {}

 private:
  Prediction ForwardImpl(const Batch& batch) override {
    const Tensor& text = batch.modalities[0].streams[0];
    Tensor logits = text + batch.modalities[1].streams[0];
    switch (what_) {
      case Sees::kContext:
        logits = logits + batch.context.to(torch::kFloat32).bmm(text);
        break;
      case Sees::kNext:
        logits = logits + torch::roll(text, -1, 1);
        break;
      case Sees::kSpeakerOfLast:
        logits = logits + batch.speakers.select(1, batch.max_length() - 1).view({-1, 1, 1});
        break;
      case Sees::kMeanOfText:
        logits = logits + text.mean(1, /*keepdim=*/true);
        break;
    }
    const Tensor rows = Pack(logits, batch.lengths);
    return {rows.log_softmax(1), rows};
  }

  const Sees what_;
};

TEST(PastCheckTest, ABackboneThatKeepsToContextPasses) {
  Peeking backbone(Sees::kContext, ContextScope::kPast);
  EXPECT_TRUE(CheckPast(backbone, "my.NetOptions").ok());
}

TEST(PastCheckTest, OneThatLooksAheadIsRefusedByName) {
  for (const Sees what : {Sees::kNext, Sees::kSpeakerOfLast, Sees::kMeanOfText}) {
    Peeking backbone(what, ContextScope::kPast);
    const absl::Status status = CheckPast(backbone, "my.NetOptions");
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << static_cast<int>(what);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("my.NetOptions: with data.context: PAST"),
                      HasSubstr("set data { context: CONVERSATION }")));
  }
}

TEST(PastCheckTest, WhereAllOfAConversationCountsLookingAheadIsRight) {
  Peeking backbone(Sees::kNext, ContextScope::kConversation);
  EXPECT_TRUE(CheckPast(backbone, "my.NetOptions").ok());
}

TEST(PastCheckTest, LeavesRandomNumbersAndTheModeAlone) {
  Peeking backbone(Sees::kContext, ContextScope::kPast);
  backbone.train();
  torch::manual_seed(3);
  const Tensor want = torch::rand({4});
  torch::manual_seed(3);
  EXPECT_TRUE(CheckPast(backbone, "my.NetOptions").ok());
  EXPECT_TRUE(backbone.is_training());
  EXPECT_TRUE(torch::rand({4}).equal(want));
}

}  // namespace
}  // namespace cmerc
