#include "calibration/views.h"

#include <gtest/gtest.h>

#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

const View kText{View::Kind::kModality, "text"};
const View kAudio{View::Kind::kModality, "audio"};
const View kSameSpeaker{View::Kind::kSameSpeaker, ""};
const View kOtherSpeakers{View::Kind::kOtherSpeakers, ""};

constexpr auto kReal = CalibrationConfig::REAL_UTTERANCES;
constexpr auto kPadded = CalibrationConfig::PADDED_ROWS;

// Sums of up to five float32 numbers around 1, in two orders.
constexpr double kTolerance = 1e-6;

// Values that float32 adds and divides exactly: 8 times small integers.
torch::Tensor Exact(torch::IntArrayRef sizes) {
  return 8 * torch::randint(-100, 100, sizes, torch::kFloat32);
}

TEST(ViewsTest, AModalityBecomesItsMeanOverTheConversationsUtterances) {
  const Batch batch = RandomBatch({4, 2});
  const Batch view = ApplyView(batch, kText, kReal);
  ASSERT_TRUE(ValidateBatch(view, StubInfo()).ok());
  for (size_t s = 0; s < 2; ++s) {
    const torch::Tensor& stream = view.modalities[0].streams[s];
    const torch::Tensor& original = batch.modalities[0].streams[s];
    for (int64_t b = 0; b < 2; ++b) {
      const int64_t length = batch.lengths[b].item<int64_t>();
      const torch::Tensor mean = original[b].narrow(0, 0, length).mean(0);
      for (int64_t t = 0; t < 4; ++t) {
        const torch::Tensor want = t < length ? mean : torch::zeros({3});
        EXPECT_LE((stream[b][t] - want).abs().max().item<float>(), kTolerance) << b << " " << t;
      }
    }
  }
}

TEST(ViewsTest, WherePastAloneCountsAModalityBecomesTheMeanOfTheUtterancesSoFar) {
  Batch batch = RandomBatch({4, 2});
  batch.scope = ContextScope::kPast;
  const torch::Tensor& original = batch.modalities[1].streams[0];
  const torch::Tensor stream = ApplyView(batch, kAudio, kReal).modalities[1].streams[0];
  for (int64_t b = 0; b < 2; ++b) {
    const int64_t length = batch.lengths[b].item<int64_t>();
    for (int64_t t = 0; t < 4; ++t) {
      const torch::Tensor want =
          t < length ? original[b].narrow(0, 0, t + 1).mean(0) : torch::zeros({3});
      EXPECT_LE((stream[b][t] - want).abs().max().item<float>(), kTolerance) << b << " " << t;
    }
  }
  EXPECT_FALSE(stream[0][1].equal(stream[0][2])) << "one mean for all";
}

TEST(ViewsTest, EvidenceSaysWhatIsGone) {
  const Batch batch = RandomBatch({4, 2});
  const std::vector<View> views = AllViews(StubInfo());
  for (size_t v = 0; v < views.size(); ++v) {
    torch::Tensor expected = batch.evidence.clone();
    expected.select(2, static_cast<int64_t>(v)).fill_(false);
    EXPECT_TRUE(ApplyView(batch, views[v], kReal).evidence.equal(expected)) << views[v].name();
  }
  EXPECT_TRUE(batch.evidence.equal(RandomBatch({4, 2}).evidence)) << "a view wrote to its batch";
}

TEST(ViewsTest, PaddedRowsCountAndAreWrittenWhenAskedFor) {
  const Batch batch = RandomBatch({4, 2});
  const torch::Tensor stream =
      ApplyView(batch, kAudio, kPadded).modalities[1].streams[0].contiguous();
  for (int64_t b = 0; b < 2; ++b) {
    const int64_t length = batch.lengths[b].item<int64_t>();
    // T = 4 rows, of which `length` are not 0.
    const torch::Tensor mean = batch.modalities[1].streams[0][b].narrow(0, 0, length).sum(0) / 4;
    for (int64_t t = 0; t < 4; ++t) {
      EXPECT_LE((stream[b][t] - mean).abs().max().item<float>(), kTolerance) << b << " " << t;
    }
  }
}

TEST(ViewsTest, TheWaysToTakeTheMeanAgreeWithoutPadding) {
  const Batch batch = RandomBatch({3, 3});
  EXPECT_TRUE(
      ApplyView(batch, kText, kReal)
          .modalities[0]
          .streams[0]
          .allclose(ApplyView(batch, kText, kPadded).modalities[0].streams[0], 0, kTolerance));
}

// The law of a masked modality: nothing of it is left but its mean.
TEST(ViewsTest, ChangingAMaskedModalityButNotItsMeanChangesNothing) {
  for (const auto masked_mean : {kReal, kPadded}) {
    Batch batch = RandomBatch({4, 2});
    torch::Tensor& stream = batch.modalities[1].streams[0];
    stream = Exact({2, 4, 3});
    stream[1].narrow(0, 2, 2).zero_();
    StubBackbone backbone;
    backbone.eval();
    const auto predict = [&](const Batch& b) {
      const absl::StatusOr<Prediction> prediction =
          backbone.Forward(ApplyView(b, kAudio, masked_mean));
      TORCH_CHECK(prediction.ok(), prediction.status().ToString());
      return prediction->log_probs;
    };
    const torch::Tensor before = predict(batch);

    Batch permuted = batch;
    permuted.modalities[1].streams[0] = stream.clone();
    permuted.modalities[1].streams[0][0] =
        stream[0].index_select(0, torch::tensor({3, 0, 1, 2}, torch::kInt64));
    permuted.modalities[1].streams[0][1][0] += 16;
    permuted.modalities[1].streams[0][1][1] -= 16;
    EXPECT_TRUE(predict(permuted).equal(before));

    Batch shifted = batch;
    shifted.modalities[1].streams[0] = stream.clone();
    shifted.modalities[1].streams[0][0][0][0] += 800;
    EXPECT_FALSE(predict(shifted).equal(before));
  }
}

TEST(ViewsTest, BatchMatesDoNotMatterToTheMeanOfRealUtterances) {
  torch::manual_seed(3);
  const Conversation alone = RandomConversation("a", 2);
  const Conversation mate = RandomConversation("b", 7);
  const torch::Tensor one = ApplyView(MakeBatch({alone}, StubInfo()), kText, kReal)
                                .modalities[0]
                                .streams[0]
                                .narrow(1, 0, 2);
  const torch::Tensor two = ApplyView(MakeBatch({alone, mate}, StubInfo()), kText, kReal)
                                .modalities[0]
                                .streams[0]
                                .narrow(0, 0, 1)
                                .narrow(1, 0, 2);
  EXPECT_TRUE(one.allclose(two, 0, kTolerance));
}

TEST(ViewsTest, AModalityViewSharesEverythingElse) {
  const Batch batch = RandomBatch({4, 2});
  const torch::Tensor before = batch.modalities[0].streams[0].clone();
  const Batch view = ApplyView(batch, kText, kReal);
  EXPECT_TRUE(view.modalities[1].streams[0].is_same(batch.modalities[1].streams[0]));
  EXPECT_TRUE(view.speakers.is_same(batch.speakers));
  EXPECT_TRUE(view.context.is_same(batch.context));
  EXPECT_TRUE(view.lengths.is_same(batch.lengths));
  EXPECT_TRUE(view.labels.is_same(batch.labels));
  EXPECT_EQ(view.modalities[0].name, "text");
  EXPECT_TRUE(batch.modalities[0].streams[0].equal(before));
}

TEST(ViewsTest, StreamsThatAreOneTensorStayOne) {
  Batch batch = RandomBatch({4, 2});
  batch.modalities[0].streams[1] = batch.modalities[0].streams[0];
  for (const auto masked_mean : {kReal, kPadded}) {
    const Batch shared = ApplyView(batch, kText, masked_mean);
    EXPECT_TRUE(shared.modalities[0].streams[0].is_same(shared.modalities[0].streams[1]));
  }
  const Batch apart = ApplyView(RandomBatch({4, 2}), kText, kReal);
  EXPECT_FALSE(apart.modalities[0].streams[0].is_same(apart.modalities[0].streams[1]));
}

TEST(ViewsTest, ContextViewsClearTheirPairsAndNoOthers) {
  const Batch batch = RandomBatch({5, 3});
  const Batch same = ApplyView(batch, kSameSpeaker, kReal);
  const Batch other = ApplyView(batch, kOtherSpeakers, kReal);
  for (const Batch* view : {&same, &other}) {
    ASSERT_TRUE(ValidateBatch(*view, StubInfo()).ok());
    int64_t cleared = 0;
    for (int64_t b = 0; b < 2; ++b) {
      const int64_t length = batch.lengths[b].item<int64_t>();
      for (int64_t i = 0; i < 5; ++i) {
        for (int64_t j = 0; j < 5; ++j) {
          const bool one_speaker =
              batch.speakers[b][i].item<int64_t>() == batch.speakers[b][j].item<int64_t>();
          const bool masked = i != j && one_speaker == (view == &same);
          const bool want = i < length && j < length && !masked;
          EXPECT_EQ(view->context[b][i][j].item<bool>(), want) << b << " " << i << " " << j;
          if (i < length && j < length && masked) ++cleared;
        }
      }
    }
    EXPECT_GT(cleared, 0);
  }
  // Between them they keep each pair once, and the diagonal twice.
  EXPECT_TRUE(same.context.logical_or(other.context).equal(batch.context));
}

TEST(ViewsTest, AContextThatIsCutAlreadyStaysCut) {
  Batch batch = RandomBatch({5});
  batch.context = torch::ones({5, 5}, torch::kBool).tril().unsqueeze(0);  // the past alone
  const torch::Tensor context = ApplyView(batch, kOtherSpeakers, kReal).context;
  EXPECT_FALSE(context[0].triu(1).any().item<bool>());
  EXPECT_TRUE(context[0][2][0].item<bool>());  // speakers 0 1 0 0 1
  EXPECT_FALSE(context[0][2][1].item<bool>());
}

TEST(ViewsTest, AContextViewSharesEverythingElse) {
  const Batch batch = RandomBatch({5, 3});
  const torch::Tensor before = batch.context.clone();
  const Batch view = ApplyView(batch, kSameSpeaker, kPadded);
  for (size_t m = 0; m < batch.modalities.size(); ++m) {
    for (size_t s = 0; s < batch.modalities[m].streams.size(); ++s) {
      EXPECT_TRUE(view.modalities[m].streams[s].is_same(batch.modalities[m].streams[s]));
    }
  }
  EXPECT_TRUE(view.speakers.is_same(batch.speakers));
  EXPECT_TRUE(view.lengths.is_same(batch.lengths));
  EXPECT_TRUE(view.labels.is_same(batch.labels));
  EXPECT_TRUE(batch.context.equal(before));
}

TEST(ViewsTest, AMonologueLosesAllContextOrNone) {
  Batch batch = RandomBatch({4});
  batch.speakers.zero_();
  EXPECT_TRUE(ApplyView(batch, kSameSpeaker, kReal)
                  .context[0]
                  .equal(torch::eye(4, torch::TensorOptions().dtype(torch::kBool))));
  EXPECT_TRUE(ApplyView(batch, kOtherSpeakers, kReal).context.equal(batch.context));
}

}  // namespace
}  // namespace cmerc
