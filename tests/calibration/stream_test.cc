// Utterances that come one by one are predicted as the last ones of their conversations.
#include "calibration/stream.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "calibration/missing.h"
#include "core/speakers.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Time = std::chrono::steady_clock::time_point;

// What the answers of a stream may differ by from those for the prefix.
constexpr double kTolerance = 1e-6;

DatasetInfo Info(ContextScope context) {
  DatasetInfo info;
  info.name = "stream";
  info.modalities = {{"text", 6, 4}, {"audio", 5, 1}, {"visual", 3, 1}};
  info.class_names = {"angry", "happy", "sad"};
  info.class_counts = {3, 4, 5};
  info.num_speakers = 3;
  info.speaker_names = {"M", "F", "Z"};
  info.context = context;
  return info;
}

std::shared_ptr<Backbone> Model(const std::string& options, ContextScope context) {
  RunConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      absl::StrCat("backbone { [type.googleapis.com/", options, " }"), &config));
  torch::manual_seed(2);
  auto model = Backbones().Create(config.backbone(), Info(context));
  TORCH_CHECK(model.ok(), model.status().ToString());
  return *std::move(model);
}

// The same model with evidence flags that it has learnt: random ones.
std::shared_ptr<Backbone> WithFlags(std::shared_ptr<Backbone> model) {
  model->ShowEvidence();
  const torch::NoGradGuard no_grad;
  for (const auto& parameter : model->named_parameters()) {
    if (absl::StartsWith(parameter.key(), "evidence_flags.")) parameter.value().normal_();
  }
  return model;
}

struct Spoken {
  Conversation utterance;
  std::string speaker;
};

// `length` random utterances of "X", "F", "X", "M", ...: a new speaker, then known ones.
std::vector<Spoken> RandomConversation(int64_t length, uint64_t seed) {
  torch::manual_seed(seed);
  const std::vector<std::string> speakers = {"X", "F", "X", "M", "F"};
  std::vector<Spoken> spoken;
  for (int64_t i = 0; i < length; ++i) {
    Spoken next;
    for (const ModalityInfo& modality : Info(ContextScope::kPast).modalities) {
      next.utterance.features.emplace_back();
      for (int64_t s = 0; s < modality.num_streams; ++s) {
        next.utterance.features.back().push_back(torch::randn({1, modality.width}));
      }
    }
    next.speaker = speakers[i % speakers.size()];
    spoken.push_back(std::move(next));
  }
  return spoken;
}

// The last answer of Predictor::Predict() for the first `count` utterances.
PredictedUtterance LastOfPrefix(Predictor& predictor, const std::vector<Spoken>& spoken,
                                int64_t count, const std::vector<View>& views) {
  Conversation prefix;
  prefix.id = "prefix";
  std::vector<std::string> names;
  for (int64_t i = 0; i < count; ++i) names.push_back(spoken[i].speaker);
  prefix.speakers = torch::tensor(SpeakerIndices(names, predictor.info()).value());
  for (size_t m = 0; m < predictor.info().modalities.size(); ++m) {
    prefix.features.emplace_back();
    for (int64_t s = 0; s < predictor.info().modalities[m].num_streams; ++s) {
      std::vector<torch::Tensor> rows;
      for (int64_t i = 0; i < count; ++i) {
        rows.push_back(spoken[i].utterance.features[m][s]);
      }
      prefix.features.back().push_back(torch::cat(rows));
    }
  }
  if (spoken[0].utterance.present.defined()) {
    std::vector<torch::Tensor> rows;
    for (int64_t i = 0; i < count; ++i) rows.push_back(spoken[i].utterance.present);
    prefix.present = torch::cat(rows);
  }
  const auto predictions = predictor.Predict({prefix}, views);
  TORCH_CHECK(predictions.ok(), predictions.status().ToString());
  return (*predictions)[0].utterances(static_cast<int>(count) - 1);
}

void ExpectSameAnswer(const PredictedUtterance& got, const PredictedUtterance& want) {
  EXPECT_EQ(got.label(), want.label());
  for (const auto& [name, probability] : want.probabilities()) {
    EXPECT_NEAR(got.probabilities().at(name), probability, kTolerance) << name;
  }
  EXPECT_EQ(got.has_calibrated_confidence(), want.has_calibrated_confidence());
  EXPECT_NEAR(got.calibrated_confidence().value(), want.calibrated_confidence().value(),
              kTolerance);
  ASSERT_EQ(got.without_size(), want.without_size());
  for (int v = 0; v < want.without_size(); ++v) {
    EXPECT_EQ(got.without(v).view(), want.without(v).view());
    EXPECT_NEAR(got.without(v).confidence_change(), want.without(v).confidence_change(), kTolerance)
        << want.without(v).view();
  }
}

// Another mean and deviation for every feature.
Standardizer SomeStandardizer(const DatasetInfo& info) {
  Standardization all;
  float next = 0.25F;
  for (const ModalityInfo& modality : info.modalities) {
    Standardization::Modality* entry = all.add_modalities();
    for (int64_t s = 0; s < modality.num_streams; ++s) {
      Standardization::Stream* stream = entry->add_streams();
      for (int64_t d = 0; d < modality.width; ++d) {
        stream->add_mean(next);
        stream->add_deviation(1 + next);
        next += 0.01F;
      }
    }
  }
  return Standardizer::Create(all, info).value();
}

Predictor PredictorFor(std::shared_ptr<Backbone> model) {
  Predictor::Setup setup;
  setup.standardizer = SomeStandardizer(model->info());
  setup.temperature = 1.7;
  setup.means = ZeroMeans(model->info());
  return Predictor(std::move(model), std::move(setup));
}

Predictor PredictorOf(const std::string& options, ContextScope context) {
  return PredictorFor(Model(options, context));
}

struct Kind {
  std::string name;
  std::string options;
  ContextScope context;
  bool continues;
};

class StreamOfTest : public testing::TestWithParam<Kind> {};

// Two conversations that take turns, longer than what a memory begins with.
TEST_P(StreamOfTest, AnswersAreThoseForThePrefix) {
  constexpr int64_t kLength = 19;
  Predictor predictor = PredictorOf(GetParam().options, GetParam().context);
  const std::vector<View> views = AllViews(predictor.info());
  ConversationStream stream(PredictorOf(GetParam().options, GetParam().context), views, {});
  EXPECT_EQ(stream.continues(), GetParam().continues);
  const std::vector<Spoken> first = RandomConversation(kLength, 5);
  const std::vector<Spoken> second = RandomConversation(kLength, 6);
  for (int64_t i = 0; i < kLength; ++i) {
    for (const auto* spoken : {&first, &second}) {
      const auto answer =
          stream.Push(spoken == &first ? "d1" : "d2", (*spoken)[i].utterance, (*spoken)[i].speaker);
      ASSERT_TRUE(answer.ok()) << answer.status();
      EXPECT_EQ(answer->number, i);
      EXPECT_FALSE(answer->restarted);
      SCOPED_TRACE(testing::Message() << "utterance " << i);
      ExpectSameAnswer(answer->utterance, LastOfPrefix(predictor, *spoken, i + 1, views));
    }
  }
  EXPECT_EQ(stream.open(), 2);
}

// A modality that lacks, in the first utterance already, is filled in and shown as in the prefix,
// and so is what each view removes beside it.
TEST_P(StreamOfTest, WhatLacksIsShownAsInThePrefix) {
  constexpr int64_t kLength = 11;
  const auto make = [] {
    return PredictorFor(WithFlags(Model(GetParam().options, GetParam().context)));
  };
  Predictor predictor = make();
  const std::vector<View> views = AllViews(predictor.info());
  ConversationStream stream(make(), views, {});
  std::vector<Spoken> spoken = RandomConversation(kLength, 8);
  for (int64_t i = 0; i < kLength; ++i) {
    // Of every four utterances, one has all modalities.
    torch::Tensor present = torch::ones({1, 3}, torch::kBool);
    if (i % 4 < 3) present[0][i % 4] = false;
    spoken[i].utterance.present = present;
    const auto answer = stream.Push("d1", spoken[i].utterance, spoken[i].speaker);
    ASSERT_TRUE(answer.ok()) << answer.status();
    SCOPED_TRACE(testing::Message() << "utterance " << i);
    EXPECT_EQ(answer->utterance.missing().values_size(), i % 4 < 3 ? 1 : 0);
    ExpectSameAnswer(answer->utterance, LastOfPrefix(predictor, spoken, i + 1, views));
  }
  // Without its flags the model says something else of what lacks.
  Predictor blind = PredictorOf(GetParam().options, GetParam().context);
  const PredictedUtterance shown = LastOfPrefix(predictor, spoken, kLength, {});
  const PredictedUtterance unshown = LastOfPrefix(blind, spoken, kLength, {});
  EXPECT_GT(
      std::abs(shown.calibrated_confidence().value() - unshown.calibrated_confidence().value()),
      kTolerance);
}

const Kind kKinds[] = {
    {"Gru", "cmerc.GruOptions] { hidden_width: 8 linear_width: 8 }", ContextScope::kPast, true},
    {"Lstm", "cmerc.GruOptions] { cell: LSTM hidden_width: 8 linear_width: 8 residual: false }",
     ContextScope::kPast, true},
    {"GruWithoutAttention", "cmerc.GruOptions] { attention: false hidden_width: 8 }",
     ContextScope::kPast, true},
    {"Transformer", "cmerc.TransformerOptions] { hidden_width: 8 feed_forward_width: 16 }",
     ContextScope::kPast, true},
    {"TransformerWithoutPositions",
     "cmerc.TransformerOptions] { hidden_width: 8 num_layers: 3 activation: RELU positions: false "
     "}",
     ContextScope::kPast, true},
    // Nothing is remembered: all is predicted again.
    {"DialogueRnn", "cmerc.DialogueRnnOptions] { global_width: 8 party_width: 8 emotion_width: 8 }",
     ContextScope::kPast, false},
    {"GruOfWholeConversations", "cmerc.GruOptions] { hidden_width: 8 linear_width: 8 }",
     ContextScope::kConversation, false},
};

INSTANTIATE_TEST_SUITE_P(Backbones, StreamOfTest, testing::ValuesIn(kKinds),
                         [](const auto& info) { return info.param.name; });

class StreamTest : public testing::Test {
 protected:
  ConversationStream MakeStream(const StreamLimits& limits) {
    return ConversationStream(PredictorOf(kKinds[0].options, ContextScope::kPast), {}, limits,
                              [this] { return now_; });
  }

  // The answer of a Push() that must end well.
  static ConversationStream::Answer Say(ConversationStream& stream, const std::string& id,
                                        const Spoken& spoken) {
    auto answer = stream.Push(id, spoken.utterance, spoken.speaker);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? *std::move(answer) : ConversationStream::Answer();
  }

  const std::vector<Spoken> spoken_ = RandomConversation(5, 7);
  Time now_;
};

TEST_F(StreamTest, AnUtteranceThatIsRefusedLeavesItsConversationAsItWas) {
  ConversationStream stream = MakeStream({});
  ConversationStream undisturbed = MakeStream({});
  const Spoken& first = spoken_[0];
  ASSERT_EQ(Say(stream, "d1", first).number, Say(undisturbed, "d1", first).number);
  Conversation wide = spoken_[1].utterance;
  wide.features[1][0] = torch::zeros({1, 6});
  Conversation not_finite = spoken_[1].utterance;
  not_finite.features[2][0] = torch::full({1, 3}, std::numeric_limits<float>::infinity());
  for (const Conversation& bad : {wide, not_finite}) {
    const auto refused = stream.Push("d1", bad, "F");
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_FALSE(stream.Push("d2", bad, "F").ok());
  }
  EXPECT_EQ(stream.open(), 1) << "a conversation that did not begin is open";
  for (size_t i = 1; i < 4; ++i) {
    const ConversationStream::Answer answer = Say(stream, "d1", spoken_[i]);
    EXPECT_EQ(answer.number, static_cast<int64_t>(i));
    ExpectSameAnswer(answer.utterance, Say(undisturbed, "d1", spoken_[i]).utterance);
  }
}

TEST_F(StreamTest, AConversationThatHasEndedBeginsAnew) {
  ConversationStream stream = MakeStream({});
  const PredictedUtterance alone = Say(stream, "d1", spoken_[2]).utterance;
  EXPECT_EQ(Say(stream, "d1", spoken_[0]).number, 1);
  EXPECT_TRUE(stream.Close("d1"));
  EXPECT_FALSE(stream.Close("d1"));
  EXPECT_EQ(stream.open(), 0);
  const ConversationStream::Answer again = Say(stream, "d1", spoken_[2]);
  EXPECT_EQ(again.number, 0);
  EXPECT_FALSE(again.restarted) << "it ended, and was not forgotten";
  ExpectSameAnswer(again.utterance, alone);
}

TEST_F(StreamTest, LimitsAreSaidAndNothingIsLost) {
  StreamLimits limits;
  limits.max_open = 2;
  limits.max_utterances = 3;
  ConversationStream stream = MakeStream(limits);
  for (int i = 0; i < 3; ++i) Say(stream, "d1", spoken_[i]);
  const auto long_one = stream.Push("d1", spoken_[3].utterance, spoken_[3].speaker);
  EXPECT_EQ(long_one.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      std::string(long_one.status().message()),
      AllOf(HasSubstr("conversation d1 has 3 utterances"), HasSubstr("max_utterances = 3")));
  Say(stream, "d2", spoken_[0]);
  const auto third = stream.Push("d3", spoken_[0].utterance, spoken_[0].speaker);
  EXPECT_EQ(third.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(third.status().message()),
              AllOf(HasSubstr("conversation d3 cannot begin"), HasSubstr("max_open = 2")));
  EXPECT_EQ(Say(stream, "d2", spoken_[1]).number, 1);
  EXPECT_TRUE(stream.Close("d1"));
  EXPECT_EQ(Say(stream, "d3", spoken_[0]).number, 0);
}

TEST_F(StreamTest, IdleConversationsAreDroppedAndSayThatTheyBeginAnew) {
  StreamLimits limits;
  limits.idle = std::chrono::seconds(10);
  limits.max_open = 2;
  ConversationStream stream = MakeStream(limits);
  Say(stream, "old", spoken_[0]);
  now_ += std::chrono::seconds(6);
  Say(stream, "young", spoken_[0]);
  now_ += std::chrono::seconds(3);
  EXPECT_EQ(Say(stream, "old", spoken_[1]).number, 1);  // after 9 seconds it is still there
  now_ += std::chrono::seconds(7);
  EXPECT_EQ(Say(stream, "old", spoken_[2]).number, 2);  // young, for 10 seconds unheard, has gone
  EXPECT_EQ(stream.open(), 1);
  EXPECT_EQ(stream.dropped(), 1);
  const ConversationStream::Answer again = Say(stream, "young", spoken_[1]);
  EXPECT_EQ(again.number, 0);
  EXPECT_TRUE(again.restarted);
  EXPECT_FALSE(Say(stream, "young", spoken_[2]).restarted) << "said once";
}

}  // namespace
}  // namespace cmerc
