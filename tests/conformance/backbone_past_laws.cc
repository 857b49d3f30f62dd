// Laws of a backbone for data whose utterances draw on the past alone (data.context: PAST).
#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/match.h"
#include "calibration/views.h"
#include "tests/conformance/backbone_fixture.h"

namespace cmerc::conformance {
namespace {

using torch::Tensor;

// The lengths of two conversations, and how many of their utterances stay as they are.
const std::vector<int64_t> kLengths = {7, 4};
const std::vector<int64_t> kKept = {4, 2};

DatasetInfo PastInfo() {
  DatasetInfo info = SuiteInfo();
  info.context = ContextScope::kPast;
  return info;
}

// Calls change(rows) for the later utterances of every stream of every conversation.
template <typename Change>
std::vector<Conversation> WithLaterFeatures(std::vector<Conversation> conversations,
                                            const Change& change) {
  for (size_t b = 0; b < conversations.size(); ++b) {
    for (std::vector<Tensor>& streams : conversations[b].features) {
      for (Tensor& stream : streams) {
        stream = stream.clone();
        change(stream.narrow(0, kKept[b], kLengths[b] - kKept[b]));
      }
    }
  }
  return conversations;
}

// Later utterances by the speakers that come `shift` after theirs.
std::vector<Conversation> WithLaterSpeakers(std::vector<Conversation> conversations,
                                            int64_t shift) {
  for (size_t b = 0; b < conversations.size(); ++b) {
    Tensor& speakers = conversations[b].speakers;
    speakers = speakers.clone();
    speakers.narrow(0, kKept[b], kLengths[b] - kKept[b])
        .add_(shift)
        .remainder_(PastInfo().num_speakers);
  }
  return conversations;
}

// All utterances of one speaker, so that others are new where they come later.
std::vector<Conversation> OfOneSpeaker(std::vector<Conversation> conversations) {
  for (Conversation& conversation : conversations) {
    conversation.speakers = torch::ones_like(conversation.speakers);
  }
  return conversations;
}

// The first utterances of each conversation, as many as are kept.
std::vector<Conversation> Beginnings(std::vector<Conversation> conversations) {
  for (size_t b = 0; b < conversations.size(); ++b) {
    Conversation& conversation = conversations[b];
    for (std::vector<Tensor>& streams : conversation.features) {
      for (Tensor& stream : streams) stream = stream.narrow(0, 0, kKept[b]);
    }
    conversation.speakers = conversation.speakers.narrow(0, 0, kKept[b]);
    conversation.labels = conversation.labels.narrow(0, 0, kKept[b]);
  }
  return conversations;
}

// The rows of a prediction for all utterances that belong to those that are kept.
Prediction OfKept(const Prediction& prediction) {
  std::vector<int64_t> rows;
  int64_t first = 0;
  for (size_t b = 0; b < kLengths.size(); ++b) {
    for (int64_t i = 0; i < kKept[b]; ++i) rows.push_back(first + i);
    first += kLengths[b];
  }
  const Tensor index = torch::tensor(rows);
  return {prediction.log_probs.index_select(0, index), prediction.features.index_select(0, index)};
}

class BackbonePastLaws : public BackboneFixture {
 protected:
  // The batch in full and without each view.
  static std::vector<Batch> WithViews(const std::vector<Conversation>& conversations) {
    std::vector<Batch> batches = {MakeBatch(conversations, PastInfo())};
    for (const View& view : AllViews(PastInfo())) {
      batches.push_back(ApplyView(batches[0], view, CalibrationConfig::REAL_UTTERANCES));
    }
    return batches;
  }

  // What is predicted in full and without each view for the utterances that are kept.
  static std::vector<Prediction> PredictKept(Backbone& model,
                                             const std::vector<Conversation>& conversations) {
    std::vector<Prediction> predictions;
    for (const Batch& batch : WithViews(conversations)) {
      predictions.push_back(OfKept(Predict(model, batch)));
    }
    return predictions;
  }

  // The model of the case for such data; null where it says, as it may, that it knows none, and
  // after a failure.
  std::shared_ptr<Backbone> MakeForPast() const {
    const auto options = SmallOptions(GetParam());
    const auto made = options.ok() ? Backbones().Create(*options, PastInfo())
                                   : absl::StatusOr<std::unique_ptr<Backbone>>(options.status());
    const bool refuses = absl::StrContains(made.status().message(), "PAST");
    return refuses ? nullptr : Make(PastInfo());
  }
};

// Not a bit of what was said of an utterance may depend on what comes after it, on its features or
// its speaker: it has been said by then.
TEST_P(BackbonePastLaws, LaterUtterancesChangeNoEarlierBit) {
  const auto model = MakeForPast();
  if (model == nullptr) return;
  model->eval();
  const torch::NoGradGuard no_grad;
  const std::vector<Conversation> all = RandomConversations(kLengths, PastInfo(), 2);
  const std::vector<Conversation> one = OfOneSpeaker(all);
  struct Change {
    std::string what;
    std::vector<Conversation> before, after;
  };
  const Change changes[] = {
      {"other features", all, WithLaterFeatures(all, [](Tensor rows) { rows.mul_(-3).add_(1); })},
      {"the same features for all", all,
       WithLaterFeatures(all, [](Tensor rows) { rows.fill_(0.5); })},
      {"other speakers", all, WithLaterSpeakers(all, 1)},
      {"speakers that are new", one, WithLaterSpeakers(one, 1)},
      {"speakers that come before those", one, WithLaterSpeakers(one, 2)},
  };
  for (const Change& change : changes) {
    const std::vector<Prediction> before = PredictKept(*model, change.before);
    const std::vector<Prediction> after = PredictKept(*model, change.after);
    for (size_t v = 0; v < before.size(); ++v) {
      SCOPED_TRACE(change.what);
      SCOPED_TRACE(v == 0 ? "all evidence" : AllViews(PastInfo())[v - 1].name());
      ExpectSameBits(after[v], before[v]);
    }
  }
}

TEST_P(BackbonePastLaws, AConversationThatGoesOnGetsTheAnswersOfItsBeginning) {
  const auto model = MakeForPast();
  if (model == nullptr) return;
  model->eval();
  const torch::NoGradGuard no_grad;
  const std::vector<Conversation> all = RandomConversations(kLengths, PastInfo(), 2);
  const std::vector<Prediction> want = PredictKept(*model, all);
  const std::vector<Batch> beginnings = WithViews(Beginnings(all));
  for (size_t v = 0; v < beginnings.size(); ++v) {
    SCOPED_TRACE(v == 0 ? "all evidence" : AllViews(PastInfo())[v - 1].name());
    ExpectNear(Predict(*model, beginnings[v]), want[v], kReordered);
  }
}

// A backbone that can be continued says of each utterance what it says of it in its conversation.
TEST_P(BackbonePastLaws, ContinuingIsPredictingTheWhole) {
  const auto model = MakeForPast();
  if (model == nullptr) return;
  model->eval();
  const torch::NoGradGuard no_grad;
  if (model->NewMemory() == nullptr) return;
  constexpr int64_t kLength = 20;
  const Conversation whole = RandomConversation(kLength, 2, PastInfo(), 4);
  const std::vector<Batch> batches = WithViews({whole});
  for (size_t v = 0; v < batches.size(); ++v) {
    SCOPED_TRACE(v == 0 ? "all evidence" : AllViews(PastInfo())[v - 1].name());
    const Prediction want = Predict(*model, batches[v]);
    const std::unique_ptr<Backbone::Memory> memory = model->NewMemory();
    for (int64_t i = 0; i < kLength; ++i) {
      Batch next = batches[v];
      for (Modality& modality : next.modalities) {
        for (Tensor& stream : modality.streams) stream = stream.narrow(1, i, 1);
      }
      next.speakers = next.speakers.narrow(1, i, 1);
      next.context = torch::ones({1, 1, 1}, torch::kBool);
      next.evidence = next.evidence.narrow(1, i, 1);
      next.lengths = torch::ones({1}, torch::kInt64);
      next.labels = next.labels.narrow(0, i, 1);
      const Tensor sources = batches[v].context[0][i].narrow(0, 0, i + 1);
      const auto got = model->Continue(next, sources, *memory);
      ASSERT_TRUE(got.ok()) << got.status();
      SCOPED_TRACE(testing::Message() << "utterance " << i);
      ExpectNear(*got, {want.log_probs.narrow(0, i, 1), want.features.narrow(0, i, 1)}, kReordered);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Registered, BackbonePastLaws, testing::ValuesIn(CasesOf(Backbones())),
                         CaseName);

}  // namespace
}  // namespace cmerc::conformance
