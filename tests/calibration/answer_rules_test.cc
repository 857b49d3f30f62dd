// Answers that users can act on: sets of classes, and declining.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "calibration/predictor.h"
#include "metrics/conformal.h"
#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::vector<Conversation> TrainConversations() {
  PreparedData data = StubData();
  data.conversations.resize(4);
  return data.conversations;
}

std::shared_ptr<StubBackbone> Model() { return std::make_shared<StubBackbone>(0.7F); }

// Float64 log-probabilities [N, C] of the stub.
torch::Tensor LogProbs(const Batch& batch) {
  return Model()->Forward(batch)->log_probs.detach().to(torch::kFloat64).contiguous();
}

// The answers for all utterances, one conversation after the other.
std::vector<PredictedUtterance> Answers(Predictor& predictor,
                                        const std::vector<Conversation>& conversations) {
  auto predictions = predictor.Predict(conversations);
  TORCH_CHECK(predictions.ok(), predictions.status().ToString());
  std::vector<PredictedUtterance> answers;
  for (const PredictedConversation& prediction : *predictions) {
    answers.insert(answers.end(), prediction.utterances().begin(), prediction.utterances().end());
  }
  return answers;
}

TEST(AnswerRulesTest, AnswersWithSetsAndDeclinesByTheRules) {
  const std::vector<Conversation> conversations = TrainConversations();
  const Batch batch = MakeBatch(conversations, StubInfo());
  const torch::Tensor log_probs = LogProbs(batch);
  const std::vector<double> values(log_probs.data_ptr<double>(),
                                   log_probs.data_ptr<double>() + log_probs.numel());
  std::vector<int64_t> labels, lengths;
  for (const Conversation& conversation : conversations) {
    lengths.push_back(conversation.length());
    for (int64_t i = 0; i < conversation.length(); ++i) {
      labels.push_back(conversation.labels[i].item<int64_t>());
    }
  }
  const auto calibration = CalibrateSets({values, labels, lengths}, 3);
  ASSERT_TRUE(calibration.ok()) << calibration.status();
  for (const bool scaled : {false, true}) {
    Predictor::Setup setup;
    if (scaled) setup.temperature = 2.5;
    Predictor predictor(Model(), setup);
    std::vector<double> confidences;
    for (const PredictedUtterance& answer : Answers(predictor, conversations)) {
      EXPECT_FALSE(answer.has_set());
      confidences.push_back(scaled ? answer.calibrated_confidence().value() : answer.confidence());
    }
    // Between two of them, so that some are below it and others not.
    std::sort(confidences.begin(), confidences.end());
    const size_t middle = confidences.size() / 2;
    const double threshold = (confidences[middle - 1] + confidences[middle]) / 2;
    const SetMaker maker(*calibration, SetMethod::kAdaptive, 0.6);
    predictor.AnswerBy({maker, threshold});
    const auto utterances = Answers(predictor, conversations);
    int abstained = 0;
    for (size_t i = 0; i < utterances.size(); ++i) {
      std::vector<std::string> names;
      for (const int64_t c : maker.SetOf(absl::MakeConstSpan(values).subspan(3 * i, 3))) {
        names.push_back(StubInfo().class_names[c]);
      }
      std::vector<std::string> got;
      for (const auto& name : utterances[i].set().values()) got.push_back(name.string_value());
      EXPECT_EQ(got, names);
      ASSERT_FALSE(got.empty());
      EXPECT_EQ(got[0], utterances[i].label());
      const double confidence =
          scaled ? utterances[i].calibrated_confidence().value() : utterances[i].confidence();
      EXPECT_EQ(utterances[i].abstained().value(), confidence < threshold);
      abstained += utterances[i].abstained().value() ? 1 : 0;
    }
    EXPECT_GT(abstained, 0);
    EXPECT_LT(abstained, static_cast<int>(utterances.size()));
  }
}

TEST(AnswerRulesTest, SetsOfADamagedCheckpointAreRefused) {
  CheckpointMetadata metadata;
  EXPECT_FALSE(SetCalibrationOf(metadata, 3)->has_value());
  metadata.mutable_sets()->add_classes();
  const auto damaged = SetCalibrationOf(metadata, 3);
  EXPECT_TRUE(absl::IsInvalidArgument(damaged.status()));
  EXPECT_THAT(std::string(damaged.status().message()),
              AllOf(HasSubstr("sets.classes: 1 tables, want 3"), HasSubstr("the file is damaged")));
}

}  // namespace
}  // namespace cmerc
