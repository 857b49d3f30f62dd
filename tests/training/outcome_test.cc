// What a run selects, measures and writes once it is trained.
#include "training/outcome.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "calibration/evaluation.h"
#include "calibration/prediction.pb.h"
#include "calibration/weighted_losses.h"
#include "metrics/conformal.h"
#include "storage/checkpoint.h"
#include "storage/module_state.h"
#include "storage/trained_backbone.h"
#include "tests/training/tiny_run.h"
#include "tests/training/trained_run.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::HasSubstr;

int FirstBest(const std::vector<double>& scores) {
  return static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

TEST(OutcomeTest, SelectsTheFirstBestEpochOfTheValidationSplit) {
  RunConfig config = Calibrated();
  config.mutable_training()->set_epochs(8);
  std::vector<int> selected;
  for (const int seed : {1, 2, 3, 4}) {
    config.mutable_training()->set_seed(seed);
    const TrainedRun run = MustTrain(config, "select");
    std::vector<double> scores;
    for (const EpochReport& epoch : Epochs(run.folder)) {
      scores.push_back(epoch.valid().weighted_f1());
    }
    EXPECT_EQ(run.summary.selected_epoch(), FirstBest(scores) + 1);
    EXPECT_EQ(run.summary.valid().weighted_f1(), scores[FirstBest(scores)]);
    selected.push_back(run.summary.selected_epoch());
  }
  // Not only the first or the last epoch was ever chosen.
  EXPECT_THAT(selected, testing::Contains(AllOf(testing::Gt(1), testing::Lt(8))));
}

TEST(OutcomeTest, TheSelectedCheckpointGivesTheSummarysScores) {
  RunConfig config = Calibrated();
  config.mutable_data()->clear_modalities();
  config.mutable_data()->add_modalities("text");
  config.mutable_data()->add_modalities("visual");
  const TrainedRun run = MustTrain(config, "reproduce");
  const auto checkpoint = ReadCheckpoint(run.folder + "/selected.pth");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const RunConfig& stored = checkpoint->metadata->config();
  const auto dataset = Datasets().Create(stored.data().dataset());
  const auto data = PrepareData(**dataset, stored.data(), &*checkpoint->metadata);
  ASSERT_TRUE(data.ok()) << data.status();
  const auto backbone = MakeBackbone(stored, data->info);
  ASSERT_TRUE(LoadState(checkpoint->state, **backbone, "selected.pth").ok());
  const auto losses = MakeLosses(stored, data->info);
  ASSERT_TRUE(losses.ok()) << losses.status();
  const auto score = [&](const std::vector<int64_t>& split, const std::vector<View>& views) {
    const auto predictions = PredictSplit(**backbone, *data, split, *losses, stored, views);
    EXPECT_TRUE(predictions.ok()) << predictions.status();
    return ScorePredictions(*predictions, data->info);
  };
  const auto test = score(data->test, AllViews(data->info));
  const auto valid = score(data->valid, {}), train = score(data->train, {});
  ASSERT_TRUE(test.ok() && valid.ok() && train.ok());
  EXPECT_TRUE(test->calibration().has_ece_floor() && test->calibration().has_ece_error());
  SplitReport expected = run.summary.test();
  expected.clear_post_hoc();
  expected.clear_sets();
  expected.clear_risk_coverage();
  EXPECT_EQ(test->SerializeAsString(), expected.SerializeAsString());
  EXPECT_EQ(valid->SerializeAsString(), run.summary.valid().SerializeAsString());
  EXPECT_EQ(train->SerializeAsString(), run.summary.train().SerializeAsString());
  EXPECT_EQ(run.summary.test().views_size(), 4);
}

TEST(OutcomeTest, RemediesAreFittedOnTheValidationSplit) {
  const TrainedRun run = MustTrain(Calibrated(), "remedies");
  const auto checkpoint = ReadCheckpoint(run.folder + "/selected.pth");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto backbone = MakeBackbone(Calibrated(), run.data.info);
  ASSERT_TRUE(LoadState(checkpoint->state, **backbone, "selected.pth").ok());
  const auto losses = MakeLosses(Calibrated(), run.data.info);
  const auto valid = PredictSplit(**backbone, run.data, run.data.valid, *losses, Calibrated());
  const auto test = PredictSplit(**backbone, run.data, run.data.test, *losses, Calibrated(),
                                 AllViews(run.data.info));
  ASSERT_TRUE(valid.ok() && test.ok());
  const auto remedies = FitRemedies(valid->log_probs, valid->labels, 3);
  ASSERT_TRUE(remedies.ok()) << remedies.status();
  // Three conversations tell a temperature, but not a scale of every class.
  ASSERT_EQ((*remedies)[0].withheld, "");
  std::vector<std::string> withheld;
  int scored = 0;
  for (const Remedy& remedy : *remedies) {
    if (!remedy.withheld.empty()) {
      withheld.push_back("the remedy " + remedy.method + " is withheld: ");
      continue;
    }
    const auto expected = ScoreRemedy(remedy, *test, run.data.info);
    ASSERT_TRUE(expected.ok()) << expected.status();
    ASSERT_LT(scored, run.summary.test().post_hoc_size());
    EXPECT_TRUE(MessageDifferencer::Equals(run.summary.test().post_hoc(scored++), *expected));
    EXPECT_EQ(expected->share_surer_without_size(), 5);
  }
  EXPECT_EQ(run.summary.test().post_hoc_size(), scored);
  ASSERT_EQ(run.summary.warnings_size(), static_cast<int>(withheld.size()));
  for (size_t i = 0; i < withheld.size(); ++i) {
    EXPECT_THAT(run.summary.warnings(static_cast<int>(i)), testing::StartsWith(withheld[i]));
  }
  EXPECT_EQ(run.summary.valid().post_hoc_size(), 0);
  EXPECT_EQ(checkpoint->metadata->temperature(), (*remedies)[0].parameters[0]);
  EXPECT_FALSE(ReadCheckpoint(run.folder + "/last.pth")->metadata->has_temperature());
}

// A conversation of one class cannot tell how sure to be: nothing is scored with what it says, and
// the checkpoint has no temperature.
TEST(OutcomeTest, RemediesThatTheValidationSplitCannotTellAreWithheld) {
  PreparedData data = Prepare(Calibrated());
  data.valid.resize(1);
  data.conversations[data.valid[0]].labels.fill_(1);
  const std::string folder = Folder("withheld");
  const absl::StatusOr<RunSummary> summary = Train(Calibrated(), data, folder, {{"cmerc", "test"}});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->test().post_hoc_size(), 0);
  ASSERT_EQ(summary->warnings_size(), 3);
  EXPECT_THAT(
      summary->warnings(0),
      testing::MatchesRegex("the remedy temperature is withheld: on the [0-9]+ utterances of "
                            "the validation split the best T is .*"));
  EXPECT_THAT(summary->warnings(2), AllOf(HasSubstr("classwise_temperature is withheld"),
                                          HasSubstr("all labels are of one class")));
  EXPECT_FALSE(ReadCheckpoint(folder + "/selected.pth")->metadata->has_temperature());
}

TEST(OutcomeTest, PredictionsOfTheTestSplitAreThoseOfTheSummary) {
  const TrainedRun run = MustTrain(Calibrated(), "predictions");
  const std::vector<std::string> lines = Lines(run.folder + "/test_predictions.jsonl");
  ASSERT_EQ(lines.size(), run.data.test.size());
  int right = 0, utterances = 0;
  double log_likelihood = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto line = FromJson<PredictedConversation>(lines[i]);
    const Conversation& conversation = run.data.conversations[run.data.test[i]];
    EXPECT_EQ(line.id(), conversation.id);
    ASSERT_EQ(line.utterances_size(), conversation.length());
    for (int u = 0; u < line.utterances_size(); ++u) {
      const PredictedUtterance& utterance = line.utterances(u);
      EXPECT_EQ(utterance.true_label().value(),
                run.data.info.class_names[conversation.labels[u].item<int64_t>()]);
      EXPECT_EQ(utterance.speaker().value(),
                absl::StrCat(conversation.speakers[u].item<int64_t>()));
      double sum = 0, calibrated_sum = 0;
      ASSERT_EQ(utterance.probabilities_size(), 3);
      for (const std::string& name : run.data.info.class_names) {
        const double probability = utterance.probabilities().at(name);
        EXPECT_LE(probability, utterance.probabilities().at(utterance.label()));
        sum += probability;
        calibrated_sum += utterance.calibrated_probabilities().at(name);
      }
      EXPECT_NEAR(sum, 1, 1e-6);              // float32's
      EXPECT_NEAR(calibrated_sum, 1, 1e-12);  // of doubles
      right += utterance.label() == utterance.true_label().value() ? 1 : 0;
      log_likelihood += std::log(utterance.probabilities().at(utterance.true_label().value()));
      ++utterances;
    }
  }
  EXPECT_EQ(static_cast<double>(right) / utterances, run.summary.test().accuracy());
  // exp and log, a rounding each.
  EXPECT_NEAR(-log_likelihood / utterances, run.summary.test().calibration().nll(), 1e-12);
}

TEST(OutcomeTest, WithoutATestSplitThereAreNoTestScores) {
  PreparedData data = Prepare(Calibrated());
  data.test.clear();
  const std::string folder = Folder("no_test");
  const absl::StatusOr<RunSummary> summary = Train(Calibrated(), data, folder, {{"cmerc", "test"}});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_FALSE(summary->has_test());
  EXPECT_TRUE(summary->has_valid());
  EXPECT_THAT(summary->warnings(summary->warnings_size() - 1),
              HasSubstr("the dataset has no test split, so there are no test scores"));
  EXPECT_FALSE(std::filesystem::exists(folder + "/test_predictions.jsonl"));
  // The weights, and what the validation split says of them, are those of the same run with one.
  const TrainedRun with_test = MustTrain(Calibrated(), "with_test");
  const auto checkpoint = ReadCheckpoint(folder + "/selected.pth");
  const auto expected = ReadCheckpoint(with_test.folder + "/selected.pth");
  ASSERT_TRUE(checkpoint.ok() && expected.ok());
  EXPECT_TRUE(expected->metadata->has_temperature());
  EXPECT_EQ(checkpoint->metadata->temperature(), expected->metadata->temperature());
  EXPECT_EQ(summary->valid().SerializeAsString(), with_test.summary.valid().SerializeAsString());
}

// What test_views.jsonl holds, utterance by utterance, are the shares, VRR and the NLL of the
// summary.
TEST(OutcomeTest, ViewsOfTheTestSplitAreThoseOfTheSummary) {
  const TrainedRun run = MustTrain(Calibrated(), "views");
  const SplitReport& test = run.summary.test();
  const std::vector<std::string> lines = Lines(run.folder + "/test_views.jsonl");
  ASSERT_EQ(lines.size(), run.data.test.size());
  std::vector<int> surer(test.views_size()), larger(test.views_size());
  double log_likelihood = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto line = FromJson<ConversationViews>(lines[i]);
    const Conversation& conversation = run.data.conversations[run.data.test[i]];
    EXPECT_EQ(line.id(), conversation.id);
    const int length = line.log_probs().values_size();
    ASSERT_EQ(length, conversation.length());
    ASSERT_EQ(line.without_size(), test.views_size());
    const auto log_prob = [](const google::protobuf::ListValue& list, int u) {
      return list.values(u).number_value();
    };
    for (int u = 0; u < length; ++u) log_likelihood += log_prob(line.log_probs(), u);
    for (int v = 0; v < test.views_size(); ++v) {
      EXPECT_EQ(line.without(v).view(), test.views(v).view());
      const google::protobuf::ListValue& without = line.without(v).log_probs();
      ASSERT_EQ(without.values_size(), conversation.length());
      const google::protobuf::ListValue& largest = line.without(v).largest_log_probs();
      ASSERT_EQ(largest.values_size(), conversation.length());
      for (int u = 0; u < length; ++u) {
        surer[v] += log_prob(without, u) > log_prob(line.log_probs(), u) ? 1 : 0;
        larger[v] += log_prob(largest, u) > log_prob(line.largest_log_probs(), u) ? 1 : 0;
        EXPECT_GE(log_prob(largest, u), log_prob(without, u));
      }
    }
  }
  EXPECT_NEAR(-log_likelihood / test.utterances(), test.calibration().nll(), 1e-12);
  for (int v = 0; v < test.views_size(); ++v) {
    EXPECT_EQ(static_cast<double>(surer[v]) / test.utterances(),
              test.views(v).share_surer_without());
    EXPECT_EQ(static_cast<double>(larger[v]) / test.utterances(),
              test.views(v).evidence().violating_ranking_rate());
  }
}

TEST(OutcomeTest, SetsAreCalibratedOnTheValidationSplitAndKeptInTheCheckpoint) {
  const TrainedRun run = MustTrain(Calibrated(), "sets");
  const auto checkpoint = ReadCheckpoint(run.folder + "/selected.pth");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto backbone = MakeBackbone(Calibrated(), run.data.info);
  ASSERT_TRUE(LoadState(checkpoint->state, **backbone, "selected.pth").ok());
  const auto valid = PredictSplit(**backbone, run.data, run.data.valid, {}, Calibrated());
  const auto test = PredictSplit(**backbone, run.data, run.data.test, {}, Calibrated());
  ASSERT_TRUE(valid.ok() && test.ok());
  const auto calibration = CalibrateSets({valid->log_probs, valid->labels, valid->lengths}, 3);
  ASSERT_TRUE(calibration.ok()) << calibration.status();
  EXPECT_TRUE(MessageDifferencer::Equals(checkpoint->metadata->sets(), *calibration));
  EXPECT_FALSE(ReadCheckpoint(run.folder + "/last.pth")->metadata->has_sets());

  const SetReports& sets = run.summary.test().sets();
  ASSERT_EQ(sets.methods_size(), 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(sets.methods(i).method(), SetMethodNames()[i]);
    EXPECT_EQ(sets.methods(i).asked(), 0.9);
    EXPECT_EQ(sets.methods(i).calibration_conversations(), 3);
    // Three conversations tell 3/4 at most.
    EXPECT_EQ(sets.methods(i).share_all(), 1);
    EXPECT_EQ(sets.methods(i).coverage(), 1);
    EXPECT_EQ(sets.methods(i).remarks_size(), 1);
  }
  const RiskCoverage& curve = run.summary.test().risk_coverage();
  EXPECT_EQ(curve.confidence(), "calibrated_confidence");
  EXPECT_EQ(curve.points(0).accuracy().value(), run.summary.test().accuracy());
  EXPECT_EQ(curve.aurc(), run.summary.test().post_hoc(0).calibration().aurc());
}

TEST(OutcomeTest, SaysHowMuchTheClassesCount) {
  EXPECT_FALSE(MustTrain(Calibrated(), "no_weights").summary.has_class_weights());
  const TrainedRun run = MustTrain(
      Config(R"pb(losses {
                    loss {
                      [type.googleapis.com/
                       cmerc.NllOptions] { class_weights: GIVEN weight: 0.5 weight: 2 weight: 1.25 }
                    }
                  })pb"),
      "weights");
  const ClassWeightsReport& weights = run.summary.class_weights();
  ASSERT_EQ(weights.losses_size(), 1);
  EXPECT_EQ(weights.losses(0).loss(), "cmerc.NllOptions");
  ASSERT_EQ(weights.losses(0).weights_size(), 3);
  EXPECT_EQ(weights.losses(0).weights().at(run.data.info.class_names[1]), 2);
  EXPECT_EQ(weights.losses(0).weights().at(run.data.info.class_names[2]), 1.25);
}

TEST(OutcomeTest, F1WithoutClassesStandsBesideTheOtherScores) {
  RunConfig config = Calibrated();
  const TrainedRun plain = MustTrain(config, "all_classes");
  config.mutable_data()->add_unscored_classes("class_0");
  const TrainedRun run = MustTrain(config, "without_class_0");
  EXPECT_FALSE(plain.summary.test().has_f1_without());
  EXPECT_EQ(run.summary.selected_epoch(), plain.summary.selected_epoch());
  EXPECT_EQ(run.summary.test().weighted_f1(), plain.summary.test().weighted_f1());
  for (const SplitReport* split :
       {&run.summary.train(), &run.summary.valid(), &run.summary.test()}) {
    const F1Without& without = split->f1_without();
    ASSERT_EQ(without.classes_size(), 1);
    EXPECT_EQ(without.classes(0), "class_0");
    EXPECT_DOUBLE_EQ(without.macro_f1(), (split->classes(1).f1() + split->classes(2).f1()) / 2);
    const int support = split->classes(1).support() + split->classes(2).support();
    EXPECT_DOUBLE_EQ(without.weighted_f1(), (split->classes(1).f1() * split->classes(1).support() +
                                             split->classes(2).f1() * split->classes(2).support()) /
                                                support);
  }
  EXPECT_EQ(Epochs(run.folder).back().valid().f1_without().classes(0), "class_0");
}

TEST(OutcomeTest, SaysWhetherTheModelWasCalibrated) {
  EXPECT_TRUE(MustTrain(Calibrated(), "calibrated").summary.calibrated().value());
  const RunSummary plain = MustTrain(Config(kTask), "plain").summary;
  EXPECT_TRUE(plain.has_calibrated());
  EXPECT_FALSE(plain.calibrated().value());
}

TEST(OutcomeTest, OfficialProtocolSelectsOnTheTestSplit) {
  RunConfig config = Calibrated();
  config.mutable_data()->set_protocol(DataConfig::OFFICIAL);
  const TrainedRun run = MustTrain(config, "official");
  std::vector<double> scores;
  for (const EpochReport& epoch : Epochs(run.folder)) {
    EXPECT_EQ(epoch.conversations(), 9);
    EXPECT_FALSE(epoch.has_valid());
    ASSERT_TRUE(epoch.has_test());
    scores.push_back(epoch.test().weighted_f1());
  }
  EXPECT_EQ(run.summary.selected_epoch(), FirstBest(scores) + 1);
  EXPECT_EQ(run.summary.test().weighted_f1(), scores[FirstBest(scores)]);
  EXPECT_FALSE(run.summary.has_valid());
  EXPECT_EQ(run.summary.test().post_hoc_size(), 0);
  EXPECT_TRUE(run.summary.test().has_calibration());
  EXPECT_FALSE(ReadCheckpoint(run.folder + "/selected.pth")->metadata->has_temperature());
  EXPECT_FALSE(ReadCheckpoint(run.folder + "/selected.pth")->metadata->has_sets());
  EXPECT_FALSE(run.summary.test().has_sets());
  EXPECT_EQ(run.summary.test().risk_coverage().confidence(), "confidence");
  EXPECT_EQ(run.summary.train().conversations(), 9);
  EXPECT_EQ(run.summary.protocol(),
            "OFFICIAL (trains on train + valid; the test set selects the epoch)");
}

}  // namespace
}  // namespace cmerc
