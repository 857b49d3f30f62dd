#include "calibration/missing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using torch::Tensor;

// text, audio.
Tensor Present(const std::vector<std::vector<int>>& rows) {
  const auto n = static_cast<int64_t>(rows.size());
  Tensor present = torch::zeros({n, 2}, torch::kBool);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t m = 0; m < 2; ++m) present[i][m] = rows[i][m] == 1;
  }
  return present;
}

// Four utterances; features are zero where they are not there.
Conversation FourUtterances(const std::vector<std::vector<int>>& rows) {
  torch::manual_seed(3);
  Conversation conversation = RandomConversation("c", 4);
  conversation.present = Present(rows);
  for (size_t m = 0; m < 2; ++m) {
    for (Tensor& stream : conversation.features[m]) {
      stream = torch::where(conversation.present.select(1, static_cast<int64_t>(m)).unsqueeze(1),
                            stream, torch::zeros_like(stream));
    }
  }
  return conversation;
}

// 1, 2, 3 and so on, another for each feature of each stream.
FeatureMeans Means() {
  float next = 0;
  FeatureMeans means = ZeroMeans(StubInfo());
  for (auto& streams : means) {
    for (Tensor& mean : streams) {
      mean = torch::arange(3).to(torch::kFloat32) + next;
      next += 10;
    }
  }
  return means;
}

Conversation Filled(const Conversation& conversation, const DatasetInfo& info,
                    const FeatureMeans& means) {
  Conversation filled = conversation;
  const absl::Status status = FillMissing(means, info, filled);
  EXPECT_TRUE(status.ok()) << status;
  return filled;
}

TEST(FillMissingTest, TheMeanOfThoseThatHaveItStandsForTheOthers) {
  const Conversation conversation = FourUtterances({{1, 1}, {0, 1}, {1, 0}, {0, 1}});
  const Conversation filled = Filled(conversation, StubInfo(), Means());
  for (size_t s = 0; s < 2; ++s) {
    const Tensor& before = conversation.features[0][s];
    const Tensor& after = filled.features[0][s];
    EXPECT_TRUE(torch::allclose(after[1], (before[0] + before[2]) / 2));
    EXPECT_TRUE(after[3].equal(after[1]));
    EXPECT_TRUE(after[0].equal(before[0]) && after[2].equal(before[2]));
  }
  const Tensor& audio = conversation.features[1][0];
  EXPECT_TRUE(torch::allclose(filled.features[1][0][2], (audio[0] + audio[1] + audio[3]) / 3));
  // What was given is not written to, and filling again changes nothing.
  EXPECT_EQ(conversation.features[0][0][1].abs().max().item<float>(), 0);
  const Conversation again = Filled(filled, StubInfo(), {});
  EXPECT_TRUE(again.features[0][0].equal(filled.features[0][0]));
}

TEST(FillMissingTest, WhereNobodyHasItTheTrainingSplitStandsForIt) {
  const Conversation conversation = FourUtterances({{0, 1}, {0, 1}, {0, 1}, {0, 1}});
  const Conversation filled = Filled(conversation, StubInfo(), Means());
  for (size_t s = 0; s < 2; ++s) {
    for (int64_t i = 0; i < 4; ++i) {
      EXPECT_TRUE(filled.features[0][s][i].equal(Means()[0][s])) << s;
    }
  }
  EXPECT_TRUE(filled.features[1][0].is_same(conversation.features[1][0]));

  Conversation unknown = conversation;
  const absl::Status status = FillMissing({}, StubInfo(), unknown);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("text is missing in every utterance"), HasSubstr("train it again")));
}

TEST(FillMissingTest, WhatIsThereStaysTheSameTensor) {
  Conversation conversation = FourUtterances({{1, 1}, {1, 1}, {1, 1}, {1, 1}});
  Conversation filled = Filled(conversation, StubInfo(), {});
  EXPECT_TRUE(filled.features[0][1].is_same(conversation.features[0][1]));
  conversation.present = Tensor();
  filled = Filled(conversation, StubInfo(), {});
  EXPECT_TRUE(filled.features[1][0].is_same(conversation.features[1][0]));
}

TEST(FillMissingTest, OfThePastThoseBeforeItStandForIt) {
  DatasetInfo info = StubInfo();
  info.context = ContextScope::kPast;
  const Conversation conversation = FourUtterances({{0, 1}, {1, 0}, {0, 1}, {1, 1}});
  const Conversation filled = Filled(conversation, info, Means());
  const Tensor &before = conversation.features[0][1], &after = filled.features[0][1];
  EXPECT_TRUE(after[0].equal(Means()[0][1]));
  EXPECT_TRUE(after[1].equal(before[1]) && after[3].equal(before[3]));
  EXPECT_TRUE(after[2].equal(before[1]));
  EXPECT_TRUE(filled.features[1][0][1].equal(conversation.features[1][0][0]));

  // The beginning of a conversation is filled in as it is in the whole one.
  for (int64_t length = 1; length < 4; ++length) {
    Conversation prefix = conversation;
    prefix.present = conversation.present.narrow(0, 0, length);
    prefix.labels = conversation.labels.narrow(0, 0, length);
    for (auto& streams : prefix.features) {
      for (Tensor& stream : streams) stream = stream.narrow(0, 0, length);
    }
    const Conversation alone = Filled(prefix, info, Means());
    for (size_t m = 0; m < 2; ++m) {
      EXPECT_TRUE(alone.features[m][0].equal(filled.features[m][0].narrow(0, 0, length)));
    }
  }
  Conversation unknown = conversation;
  EXPECT_THAT(std::string(FillMissing({}, info, unknown).message()),
              HasSubstr("text is missing from the first utterance on"));
}

TEST(FillMissingTest, StreamsThatAreOneTensorStayOne) {
  for (const bool means_alike : {true, false}) {
    for (const bool somebody_has_it : {true, false}) {
      Conversation conversation = FourUtterances({{somebody_has_it, 1}, {0, 1}, {0, 1}, {0, 1}});
      conversation.features[0][1] = conversation.features[0][0];
      const FeatureMeans means = means_alike ? ZeroMeans(StubInfo()) : Means();
      const Conversation filled = Filled(conversation, StubInfo(), means);
      EXPECT_EQ(filled.features[0][1].is_same(filled.features[0][0]),
                means_alike || somebody_has_it);
      if (!somebody_has_it) {
        EXPECT_TRUE(filled.features[0][1][0].equal(means[0][1]));
      }
    }
  }
}

// Where nothing is, a caller may have anything.
TEST(FillMissingTest, WhatStandsInTheirPlaceDoesNotMatter) {
  Conversation conversation = FourUtterances({{1, 1}, {0, 1}, {1, 1}, {1, 1}});
  const Conversation expected = Filled(conversation, StubInfo(), {});
  for (Tensor& stream : conversation.features[0]) {
    stream = stream.clone();
    stream[1].fill_(std::numeric_limits<float>::quiet_NaN());
  }
  EXPECT_TRUE(Filled(conversation, StubInfo(), {}).features[0][0].equal(expected.features[0][0]));
}

TEST(FeatureMeansTest, ACheckpointBringsThemBack) {
  const TrainingMeans written = Describe(Means());
  const auto read = MeansOf(written, StubInfo());
  ASSERT_TRUE(read.ok()) << read.status();
  for (size_t m = 0; m < 2; ++m) {
    for (size_t s = 0; s < Means()[m].size(); ++s) {
      EXPECT_TRUE((*read)[m][s].equal(Means()[m][s]));
    }
  }
  const auto zeros = MeansOf(Describe(ZeroMeans(StubInfo())), StubInfo());
  EXPECT_TRUE((*zeros)[0][0].is_same((*zeros)[0][1]));
  TrainingMeans fewer = written, narrow = written, streams = written, infinite = written;
  fewer.mutable_modalities()->RemoveLast();
  narrow.mutable_modalities(1)->mutable_streams(0)->mutable_mean()->RemoveLast();
  streams.mutable_modalities(0)->mutable_streams()->RemoveLast();
  infinite.mutable_modalities(0)->mutable_streams(1)->set_mean(2, INFINITY);
  for (const TrainingMeans& bad : {fewer, narrow, streams, infinite}) {
    EXPECT_THAT(std::string(MeansOf(bad, StubInfo()).status().message()),
                HasSubstr("do not fit this dataset"));
  }
}

}  // namespace
}  // namespace cmerc
