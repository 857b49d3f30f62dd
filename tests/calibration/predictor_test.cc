#include "calibration/predictor.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "calibration/evaluation.h"
#include "calibration/views.h"
#include "metrics/classification.h"
#include "storage/checkpoint.h"
#include "storage/module_state.h"
#include "storage/trained_backbone.h"
#include "tests/calibration/stub.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

std::vector<Conversation> TrainConversations() {
  PreparedData data = StubData();
  data.conversations.resize(4);
  return data.conversations;
}

std::shared_ptr<StubBackbone> Model() { return std::make_shared<StubBackbone>(0.7F); }

// [N, C], of the stub.
torch::Tensor Probabilities(const Batch& batch) {
  return Model()->Forward(batch)->log_probs.detach().to(torch::kFloat64).exp();
}

std::vector<PredictedConversation> MustPredict(Predictor predictor,
                                               const std::vector<Conversation>& conversations,
                                               const std::vector<View>& views = {}) {
  auto predictions = predictor.Predict(conversations, views);
  TORCH_CHECK(predictions.ok(), predictions.status().ToString());
  return *std::move(predictions);
}

// In the order of the conversations.
std::vector<PredictedUtterance> Flat(const std::vector<PredictedConversation>& predictions) {
  std::vector<PredictedUtterance> flat;
  for (const PredictedConversation& prediction : predictions) {
    flat.insert(flat.end(), prediction.utterances().begin(), prediction.utterances().end());
  }
  return flat;
}

TEST(PredictorTest, SaysWhatTheModelSays) {
  const std::vector<Conversation> conversations = TrainConversations();
  const auto predictions = MustPredict(Predictor(Model()), conversations);
  ASSERT_THAT(predictions, SizeIs(4));
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(predictions[i].id(), conversations[i].id);
    EXPECT_EQ(predictions[i].utterances_size(), conversations[i].length());
  }
  const torch::Tensor expected = Probabilities(MakeBatch(conversations, StubInfo()));
  const std::vector<PredictedUtterance> utterances = Flat(predictions);
  ASSERT_EQ(static_cast<int64_t>(utterances.size()), expected.size(0));
  for (int64_t i = 0; i < expected.size(0); ++i) {
    const PredictedUtterance& utterance = utterances[i];
    double sum = 0;
    ASSERT_EQ(utterance.probabilities_size(), 3);
    for (int64_t c = 0; c < 3; ++c) {
      const double probability = utterance.probabilities().at(StubInfo().class_names[c]);
      // exp() in double of one and the same float32, by two libraries.
      EXPECT_NEAR(probability, expected[i][c].item<double>(), 1e-15);
      EXPECT_LE(probability, utterance.confidence());
      sum += probability;
    }
    // float32 log-probabilities below 16: each probability is off by 1e-6 of itself at most.
    EXPECT_NEAR(sum, 1, 1e-6);
    EXPECT_EQ(utterance.label(), StubInfo().class_names[expected[i].argmax().item<int64_t>()]);
    EXPECT_EQ(utterance.probabilities().at(utterance.label()), utterance.confidence());
    EXPECT_FALSE(utterance.has_calibrated_confidence());
    EXPECT_EQ(utterance.calibrated_probabilities_size(), 0);
    EXPECT_EQ(utterance.without_size(), 0);
  }
}

TEST(PredictorTest, PredictsAsEvaluateDoes) {
  const PreparedData data = StubData();
  StubBackbone backbone(0.7F);
  RunConfig config;
  const absl::StatusOr<SplitReport> report =
      Evaluate(backbone, data, data.train, {}, config, AllViews(data.info));
  ASSERT_TRUE(report.ok()) << report.status();

  std::vector<int64_t> labels, predicted;
  for (const Conversation& conversation : TrainConversations()) {
    for (int64_t i = 0; i < conversation.length(); ++i) {
      labels.push_back(conversation.labels[i].item<int64_t>());
    }
  }
  for (const PredictedUtterance& utterance :
       Flat(MustPredict(Predictor(Model()), TrainConversations()))) {
    const std::vector<std::string>& names = data.info.class_names;
    predicted.push_back(std::find(names.begin(), names.end(), utterance.label()) - names.begin());
  }
  const absl::StatusOr<SplitReport> recomputed =
      ClassificationReport(labels, predicted, data.info.class_names);
  ASSERT_TRUE(recomputed.ok()) << recomputed.status();
  EXPECT_EQ(recomputed->weighted_f1(), report->weighted_f1());
  EXPECT_LT(report->weighted_f1(), 1);
  for (int row = 0; row < 3; ++row) {
    EXPECT_TRUE(MessageDifferencer::Equals(recomputed->confusion(row), report->confusion(row)));
  }
}

TEST(PredictorTest, ExplainsByTheSameClassWithoutEachEvidence) {
  const std::vector<Conversation> conversations = TrainConversations();
  const std::vector<View> views = AllViews(StubInfo());
  const std::vector<PredictedUtterance> utterances =
      Flat(MustPredict(Predictor(Model()), conversations, views));
  const Batch batch = MakeBatch(conversations, StubInfo());
  int64_t other_labels = 0;
  for (size_t v = 0; v < views.size(); ++v) {
    const torch::Tensor without =
        Probabilities(ApplyView(batch, views[v], CalibrationConfig::REAL_UTTERANCES));
    for (size_t i = 0; i < utterances.size(); ++i) {
      const PredictedUtterance& utterance = utterances[i];
      ASSERT_EQ(utterance.without_size(), 4);
      const ViewChange& change = utterance.without(static_cast<int>(v));
      EXPECT_EQ(change.view(), views[v].name());
      const std::vector<std::string>& names = StubInfo().class_names;
      const torch::Tensor row = without[static_cast<int64_t>(i)];
      const double remaining =
          row[std::find(names.begin(), names.end(), utterance.label()) - names.begin()]
              .item<double>();
      // Doubles in [0, 1], added and multiplied a few times.
      EXPECT_NEAR(utterance.confidence() + change.confidence_change(), remaining, 1e-14);
      EXPECT_NEAR(utterance.confidence() * std::exp(change.log_prob_change()), remaining, 1e-14);
      EXPECT_EQ(change.label(), names[row.argmax().item<int64_t>()]);
      other_labels += change.label() != utterance.label() ? 1 : 0;
    }
  }
  EXPECT_GT(other_labels, 0);
}

TEST(PredictorTest, CalibratesWithTheTemperature) {
  const std::vector<Conversation> conversations = TrainConversations();
  const torch::Tensor log_probs = Probabilities(MakeBatch(conversations, StubInfo())).log();
  for (const double temperature : {0.5, 1.0, 2.5}) {
    Predictor::Setup setup;
    setup.temperature = temperature;
    const auto utterances = Flat(MustPredict(Predictor(Model(), setup), conversations));
    const torch::Tensor expected = std::get<0>((log_probs / temperature).softmax(1).max(1));
    for (size_t i = 0; i < utterances.size(); ++i) {
      ASSERT_TRUE(utterances[i].has_calibrated_confidence());
      const double calibrated = utterances[i].calibrated_confidence().value();
      EXPECT_NEAR(calibrated, expected[static_cast<int64_t>(i)].item<double>(), 1e-14);
      double sum = 0;
      ASSERT_EQ(utterances[i].calibrated_probabilities_size(), 3);
      for (const auto& [name, probability] : utterances[i].calibrated_probabilities()) {
        EXPECT_LE(probability, calibrated);
        EXPECT_EQ(probability == calibrated, name == utterances[i].label());
        sum += probability;
      }
      EXPECT_NEAR(sum, 1, 1e-14);
      // The probabilities of float32 do not quite sum to 1.
      if (temperature == 1) {
        EXPECT_NEAR(calibrated, utterances[i].confidence(), 1e-6);
      }
      if (temperature > 1) {
        EXPECT_LT(calibrated, utterances[i].confidence());
      }
    }
  }
}

TEST(PredictorTest, Standardizes) {
  Standardization standardization;
  const std::vector<int> streams = {2, 1};
  for (const int num_streams : streams) {
    Standardization::Modality* modality = standardization.add_modalities();
    for (int s = 0; s < num_streams; ++s) {
      Standardization::Stream* stream = modality->add_streams();
      for (int d = 0; d < 3; ++d) {
        stream->add_mean(static_cast<float>(s + d));
        stream->add_deviation(2);
      }
    }
  }
  std::vector<Conversation> conversations = TrainConversations();
  Predictor::Setup setup;
  const absl::StatusOr<Standardizer> standardizer =
      Standardizer::Create(standardization, StubInfo());
  ASSERT_TRUE(standardizer.ok()) << standardizer.status();
  setup.standardizer = *standardizer;
  const torch::Tensor raw = conversations[0].features[0][0].clone();
  const auto predicted = MustPredict(Predictor(Model(), setup), conversations);
  EXPECT_TRUE(conversations[0].features[0][0].equal(raw));  // the caller's tensors are left alone

  for (Conversation& conversation : conversations) {
    for (size_t m = 0; m < 2; ++m) {
      for (int s = 0; s < streams[m]; ++s) {
        torch::Tensor& features = conversation.features[m][s];
        features = (features - (torch::arange(3) + s).to(torch::kFloat32)) / 2;
      }
    }
  }
  const auto expected = MustPredict(Predictor(Model()), conversations);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(MessageDifferencer::Equals(predicted[i], expected[i]));
  }
}

TEST(PredictorTest, NeedsNoLabels) {
  std::vector<Conversation> conversations = TrainConversations();
  const auto expected = MustPredict(Predictor(Model()), conversations);
  for (Conversation& conversation : conversations) conversation.labels = torch::Tensor();
  const auto predicted = MustPredict(Predictor(Model()), conversations);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(MessageDifferencer::Equals(predicted[i], expected[i]));
  }
  EXPECT_THAT(MustPredict(Predictor(Model()), {}), SizeIs(0));
}

TEST(PredictorTest, LeavesNoGradientAndEvaluates) {
  const auto model = Model();
  model->train();
  MustPredict(Predictor(model), TrainConversations(), ContextViews());
  EXPECT_EQ(model->passes, std::vector<bool>(3, false));
  EXPECT_TRUE(torch::GradMode::is_enabled());
}

TEST(PredictorTest, RefusesWhatDoesNotFit) {
  const Predictor predictor(Model());
  const auto refused = [&](const auto& spoil) {
    Conversation conversation = RandomConversation("odd", 2);
    EXPECT_TRUE(predictor.Check(conversation).ok());
    spoil(conversation);
    const absl::Status status = predictor.Check(conversation);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(Predictor(Model()).Predict({conversation}).status().message(),
              absl::StrCat("conversation odd: ", status.message()));
    return std::string(status.message());
  };
  const auto wide = [](Conversation& c) { c.features[1][0] = torch::zeros({2, 5}); };
  EXPECT_EQ(refused(wide),
            "audio has shape [2, 5], want [2, 3] (utterances, features), as in "
            "training");
  EXPECT_THAT(refused([](Conversation& c) {
                c.features[0][1] = torch::zeros({3, 3});
              }),
              HasSubstr("text has shape [3, 3], want [2, 3]"));
  EXPECT_THAT(refused([](Conversation& c) { c.features[0].pop_back(); }),
              HasSubstr("text has 1 streams, want 2"));
  EXPECT_THAT(refused([](Conversation& c) { c.features.pop_back(); }),
              HasSubstr("features of 1 modalities, want 2: text, audio"));
  EXPECT_THAT(refused([](Conversation& c) { c.features[1][0] = torch::Tensor(); }),
              HasSubstr("audio has shape [], want [2, 3]"));
  EXPECT_THAT(
      refused([](Conversation& c) { c.features[1][0] = c.features[1][0].to(torch::kFloat64); }),
      HasSubstr("audio has dtype Double, want Float"));
  EXPECT_THAT(refused([](Conversation& c) { c.features[1][0][1][2] = NAN; }),
              HasSubstr("audio of utterance 1, feature 2 is nan, want a finite number"));
  EXPECT_THAT(refused([](Conversation& c) { c.speakers[1] = 2; }),
              HasSubstr("speaker 2 (from 0), want 0 to 1: this model was trained for 2 speakers"));
  EXPECT_THAT(refused([](Conversation& c) { c.speakers[0] = -1; }),
              HasSubstr("speaker -1 (from 0), want 0 to 1"));
  EXPECT_THAT(refused([](Conversation& c) { c.speakers = torch::zeros({0}, torch::kInt64); }),
              HasSubstr("speakers must be an [n] int64 tensor with n >= 1"));
}

TEST(PredictorTest, NeverSaysNan) {
  Predictor predictor(std::make_shared<StubBackbone>(NAN));
  const absl::Status status = predictor.Predict(TrainConversations()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("conversations c0, c1, c2, c3 is not"));
}

// Checkpoints of little models of registered backbones.
class LoadTest : public testing::Test {
 protected:
  // A model for three speakers, text of width 4, audio of width 2, and two classes.
  void Write(const std::string& backbone) {
    const std::string text = absl::StrCat(
        "data { dataset { [type.googleapis.com/cmerc.SyntheticOptions] {} } } ", backbone,
        " losses { loss { [type.googleapis.com/cmerc.NllOptions] {} } } training { seed: 7 }");
    TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(text, metadata_.mutable_config()),
                text);
    info_.name = "toy";
    info_.modalities = {{"text", 4, 1}, {"audio", 2, 1}};
    info_.class_names = {"calm", "angry"};
    info_.num_speakers = 3;
    info_.class_counts = {5, 5};
    *metadata_.mutable_dataset() = Describe(info_);
    model_ = MakeBackbone(metadata_.config(), info_).value();
    Rewrite();
  }

  void Rewrite() {
    const absl::Status written = WriteCheckpoint(path_, StateOf(*model_), metadata_);
    TORCH_CHECK(written.ok(), written.ToString());
  }

  std::string Error(const std::vector<std::string>& overrides = {}) const {
    const absl::Status status = Predictor::Load(path_, overrides).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  }

  // Five utterances of as many speakers as is said.
  static Conversation OfSpeakers(int64_t speakers) {
    Conversation conversation;
    conversation.id = "new";
    conversation.features = {{torch::linspace(-1, 1, 20).view({5, 4})},
                             {torch::linspace(1, -1, 10).view({5, 2})}};
    conversation.speakers = torch::arange(5).remainder(speakers);
    return conversation;
  }

  const std::string path_ = testing::TempDir() + "/predictor_test.pth";
  CheckpointMetadata metadata_;
  DatasetInfo info_;
  std::shared_ptr<Backbone> model_;
};

constexpr char kGru[] =
    "backbone { [type.googleapis.com/cmerc.GruOptions] { hidden_width: 6 linear_width: 5 } }";
constexpr char kM3Net[] =
    "backbone { [type.googleapis.com/cmerc.M3NetOptions] { input_width: 4 graph_width: 4 } }";

// A file of a few kilobytes must not ask for gigabytes.
TEST_F(LoadTest, ModelFarLargerThanItsWeightsIsNeverMade) {
  const std::string options = "backbone { [type.googleapis.com/cmerc.";
  for (const char* huge :
       {"GruOptions] { hidden_width: 1000000 } }", "GruOptions] { linear_width: 100000000 } }",
        "M3NetOptions] { input_width: 4 graph_width: 1000000 } }",
        "TransformerOptions] { hidden_width: 1 num_heads: 1 feed_forward_width: 1 num_layers: "
        "1000000 } }"}) {
    Write(kGru);
    metadata_.mutable_config()->clear_backbone();
    ASSERT_TRUE(
        google::protobuf::TextFormat::MergeFromString(options + huge, metadata_.mutable_config()))
        << huge;
    Rewrite();
    EXPECT_THAT(Error(), HasSubstr("it would take more than 16 times as much")) << huge;
  }
}

TEST_F(LoadTest, GivesTheModelThatWasSaved) {
  for (const char* backbone : {kGru, kM3Net}) {
    Write(backbone);
    const auto loaded = Predictor::Load(path_);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->config().training().seed(), 7u);
    const std::vector<Conversation> conversations = {OfSpeakers(3), OfSpeakers(1)};
    const std::vector<View> views = AllViews(info_);
    const auto predicted = MustPredict(*loaded, conversations, views);
    const auto expected = MustPredict(Predictor(model_), conversations, views);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_TRUE(MessageDifferencer::Equals(predicted[i], expected[i]))
          << predicted[i].DebugString() << expected[i].DebugString();
    }
  }
}

TEST_F(LoadTest, MoreSpeakersThanInTrainingWhereNoWeightDependsOnThem) {
  Write(kGru);
  auto gru = Predictor::Load(path_);
  ASSERT_TRUE(gru.ok()) << gru.status();
  EXPECT_TRUE(gru->Predict({OfSpeakers(5)}).ok());

  Write(kM3Net);
  auto m3net = Predictor::Load(path_);
  ASSERT_TRUE(m3net.ok()) << m3net.status();
  EXPECT_TRUE(m3net->Predict({OfSpeakers(3)}).ok());
  EXPECT_THAT(std::string(m3net->Predict({OfSpeakers(5)}).status().message()),
              HasSubstr("conversation new: speaker 4 (from 0), want 0 to 2: this model was trained "
                        "for 3 speakers"));
}

TEST_F(LoadTest, BringsStandardizationAndTemperature) {
  Write(kGru);
  for (const int width : {4, 2}) {
    Standardization::Stream* stream =
        metadata_.mutable_standardization()->add_modalities()->add_streams();
    for (int d = 0; d < width; ++d) {
      stream->add_mean(0.5F);
      stream->add_deviation(2);
    }
  }
  metadata_.set_temperature(1.5);
  Rewrite();
  const auto loaded = Predictor::Load(path_, {"training { batch_size: 3 }"});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->config().training().batch_size(), 3);

  Conversation by_hand = OfSpeakers(2);
  for (auto& streams : by_hand.features) streams[0] = (streams[0] - 0.5F) / 2;
  Predictor::Setup setup;
  setup.temperature = 1.5;
  EXPECT_TRUE(MessageDifferencer::Equals(MustPredict(*loaded, {OfSpeakers(2)})[0],
                                         MustPredict(Predictor(model_, setup), {by_hand})[0]));
}

TEST_F(LoadTest, KnowsWhetherBatchMatesMatter) {
  Write(kGru);
  EXPECT_FALSE(Predictor(Model()).BatchMatesMatter());
  for (const auto& [fragment, matter] :
       {std::pair("training { batch_size: 2 }", false),
        {"backbone { [type.googleapis.com/cmerc.GruOptions] { semantics: OFFICIAL } }", true},
        {"calibration { masked_mean: PADDED_ROWS }", true}}) {
    const auto loaded = Predictor::Load(path_, {fragment});
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->BatchMatesMatter(), matter) << fragment;
  }
}

TEST_F(LoadTest, RefusesWhatItCannotUse) {
  Write(kGru);
  const std::string backbone =
      "backbone { [type.googleapis.com/cmerc.GruOptions] { hidden_width: 7 } }";
  EXPECT_THAT(Error({backbone}), AllOf(HasSubstr(path_), HasSubstr("weights of this model")));
  EXPECT_THAT(Error({"training { epoch: 1 }"}),
              AllOf(HasSubstr(absl::StrCat("the config in ", path_)), HasSubstr("epochs")));

  metadata_.set_temperature(0);
  Rewrite();
  EXPECT_THAT(Error(), HasSubstr("temperature = 0, must be finite and > 0"));
  metadata_.set_temperature(std::numeric_limits<double>::quiet_NaN());
  Rewrite();
  EXPECT_THAT(Error(), HasSubstr("temperature = nan, must be finite and > 0"));
  metadata_.clear_temperature();

  metadata_.mutable_standardization()->add_modalities();
  Rewrite();
  EXPECT_THAT(Error(), AllOf(HasSubstr(path_), HasSubstr("standardisation does not fit")));
  metadata_.clear_standardization();

  metadata_.mutable_dataset()->clear_modalities();
  Rewrite();
  EXPECT_THAT(Error(), AllOf(HasSubstr(path_), HasSubstr("does not say what data")));
}

}  // namespace
}  // namespace cmerc
