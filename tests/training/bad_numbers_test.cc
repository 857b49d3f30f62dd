// Whole runs whose numbers go bad, and runs on splits as small and one-sided as they come.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "calibration/difficulty.h"
#include "storage/checkpoint.h"
#include "tests/calibration/stub.h"
#include "tests/training/trained_run.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using torch::Tensor;

// Batch normalization, which keeps statistics, and no random numbers: what is left out of such a
// run leaves no trace.
constexpr char kModel[] = R"pb(
  backbone {
    [type.googleapis.com/cmerc.M3NetOptions] {
      norm: BN
      input_width: 8
      graph_width: 6
      hypergraph_layers: 1
      high_frequency_layers: 1
      dropout: 0
    }
  }
  training { epochs: 3 batch_size: 1 learning_rate: 0.01 seed: 3 shuffle: false }
  losses {
    loss {
      [type.googleapis.com/cmerc.NllOptions] {}
    }
  }
)pb";

constexpr char kEveryOtherLoss[] = R"pb(
  losses {
    loss {
      [type.googleapis.com/cmerc.NllOptions] { class_weights: INVERSE_FREQUENCY }
    }
  }
  losses {
    loss {
      [type.googleapis.com/cmerc.FocalOptions] {}
    }
  }
  losses {
    loss {
      [type.googleapis.com/cmerc.LabelSmoothingOptions] {}
    }
  }
  losses {
    loss {
      [type.googleapis.com/cmerc.SupConOptions] {}
    }
  }
  losses {
    loss {
      [type.googleapis.com/cmerc.CalibrationRankingOptions] {}
    }
  }
  losses {
    loss {
      [type.googleapis.com/cmerc.MsclOptions] {}
    }
  }
  losses {
    loss {
      [type.googleapis.com/cmerc.CsclOptions] {}
    }
  }
)pb";

RunConfig Config(const std::string& more = "") {
  RunConfig config, changes;
  TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(kModel, &config));
  TORCH_CHECK(google::protobuf::TextFormat::ParseFromString(more, &changes), more);
  config.MergeFrom(changes);
  return config;
}

RunConfig Skipping() { return Config("training { on_non_finite: SKIP_BATCH }"); }

// Six conversations to train on, two to validate and to test on, of two to four utterances.
PreparedData Data() {
  torch::manual_seed(5);
  PreparedData data;
  data.info = StubInfo();
  for (int i = 0; i < 10; ++i) {
    data.conversations.push_back(RandomConversation(absl::StrCat("c", i), 2 + i % 3));
    (i < 6 ? data.train : i < 8 ? data.valid : data.test).push_back(i);
  }
  return data;
}

// No prediction of it is finite.
void MakeNan(PreparedData& data, int64_t conversation) {
  data.conversations[conversation].features[0][0][1][2] = NAN;
}

// Finite predictions, but a variance that float32 cannot hold.
void MakeHuge(PreparedData& data, int64_t conversation) {
  data.conversations[conversation].features[0][0] =
      data.conversations[conversation].features[0][0] * 1e25;
}

RunSummary MustTrain(const RunConfig& config, const PreparedData& data, const std::string& folder) {
  absl::StatusOr<RunSummary> summary = Train(config, data, folder, {});
  TORCH_CHECK(summary.ok(), summary.status().ToString());
  return *std::move(summary);
}

TEST(StopTest, NamesTheStepAndKeepsTheLastGoodCheckpoint) {
  // Two conversations more in every epoch, the bad one among the last.
  DifficultyTable table;
  PreparedData data = Data();
  for (const int64_t i : data.train) {
    table.emplace_back(data.conversations[i].id, static_cast<float>(i));
  }
  const std::string difficulties = testing::TempDir() + "/difficulties.json";
  ASSERT_TRUE(WriteDifficulties(difficulties, {table, {}}, false).ok());
  const RunConfig config = Config(absl::StrCat(
      "curriculum { scheduler { [type.googleapis.com/cmerc.BabyStepOptions] { epoch_ratio: 0.34 } ",
      "} difficulty_file: '", difficulties, "' }"));
  const std::string good = Folder("good");
  MustTrain(config, data, good);
  ASSERT_EQ(Epochs(good)[1].conversations(), 4);

  MakeNan(data, 5);
  const std::string bad = Folder("bad");
  const absl::Status status = Train(config, data, bad, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("epoch 3, step 6, conversations c5: the loss cmerc.NllOptions is nan "
                              "(log_probs of the full prediction: nan at [0, 0])"),
                    HasSubstr("bad/last.pth holds the weights of epoch 2")));
  const auto checkpoint = ReadCheckpoint(bad + "/last.pth");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->metadata->epoch(), 2);
  for (const auto& [name, tensor] : checkpoint->state) {
    EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;
  }
  EXPECT_TRUE(ReadCheckpoint(bad + "/selected.pth").ok());
  const std::string whole = Bytes(good + "/metrics.jsonl");
  const std::string part = Bytes(bad + "/metrics.jsonl");
  EXPECT_EQ(Epochs(bad).size(), 2u);
  EXPECT_EQ(whole.substr(0, part.size()), part);
}

TEST(StopTest, StatisticsThatOverflow) {
  PreparedData data = Data();
  MakeHuge(data, 2);
  EXPECT_THAT(std::string(Train(Config(), data, Folder("huge"), {}).status().message()),
              ContainsRegex("epoch 1, step 3, conversations c2: the buffer [A-Za-z0-9_.]*"
                            "running_var: inf at \\[0\\]"));
}

TEST(StopTest, AValidationSplitThatIsNotFinite) {
  PreparedData data = Data();
  MakeNan(data, 7);
  EXPECT_THAT(std::string(Train(Config(), data, Folder("valid"), {}).status().message()),
              HasSubstr("epoch 1, validation split: conversations c7: the loss cmerc.NllOptions is "
                        "nan (log_probs of the full prediction: nan at "));
}

TEST(SkipTest, IsARunWithoutTheSkippedBatch) {
  PreparedData data = Data();
  MakeHuge(data, 2);
  const std::string with = Folder("with"), without = Folder("without");
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  MustTrain(Skipping(), data, with);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr(" s (1 of 6 steps skipped)\n"));
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              ContainsRegex("warning: skipped epoch 1, step 3, conversations c2: the buffer .*\n"
                            "warning: skipped epoch 2, step 3, conversations c2: the buffer .*\n"
                            "warning: skipped epoch 3, step 3, conversations c2: the buffer "));
  data.train.erase(data.train.begin() + 2);
  MustTrain(Config(), data, without);
  EXPECT_TRUE(SameState(with + "/last.pth", without + "/last.pth"));
  EXPECT_TRUE(SameState(with + "/selected.pth", without + "/selected.pth"));
  const std::vector<EpochReport> skipping = Epochs(with), plain = Epochs(without);
  ASSERT_EQ(skipping.size(), plain.size());
  for (size_t e = 0; e < plain.size(); ++e) {
    EXPECT_EQ(skipping[e].steps(), 6);
    EXPECT_EQ(skipping[e].skipped_steps().value(), 1);
    EXPECT_FALSE(plain[e].has_skipped_steps());
    EXPECT_EQ(skipping[e].total_loss(), plain[e].total_loss());
    EXPECT_EQ(skipping[e].train_accuracy(), plain[e].train_accuracy());
    EXPECT_EQ(skipping[e].valid().loss(), plain[e].valid().loss());
  }
  EXPECT_THAT(Bytes(without + "/metrics.jsonl"), Not(HasSubstr("skipped")));
}

TEST(SkipTest, WithNothingToSkipChangesNothing) {
  const std::string skipping = Folder("skipping"), stopping = Folder("stopping");
  MustTrain(Skipping(), Data(), skipping);
  MustTrain(Config(), Data(), stopping);
  EXPECT_EQ(Bytes(skipping + "/metrics.jsonl"), Bytes(stopping + "/metrics.jsonl"));
}

TEST(SkipTest, TellsOfTheFirstStepsOfAnEpochAlone) {
  PreparedData data = Data();
  for (int64_t i = 1; i < 6; ++i) MakeHuge(data, i);
  RunConfig config = Skipping();
  config.mutable_training()->set_epochs(1);
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  MustTrain(config, data, Folder("flood"));
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr(" s (5 of 6 steps skipped)\n"));
  const std::vector<std::string> lines =
      absl::StrSplit(testing::internal::GetCapturedStderr(), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_THAT(lines[2], HasSubstr("warning: skipped epoch 1, step 4, conversations c3: "));
  EXPECT_EQ(lines[3], "warning: epoch 1: more steps are skipped; the epoch's line counts them");
}

TEST(SkipTest, AnEpochOfNothingElseEndsTheRun) {
  PreparedData data = Data();
  for (const int64_t i : data.train) MakeNan(data, i);
  const std::string folder = Folder("nothing");
  const absl::Status status = Train(Skipping(), data, folder, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("epoch 1: every step was skipped, the last one at epoch 1, step 6, "
                        "conversations c5: the loss cmerc.NllOptions is nan"));
  EXPECT_FALSE(std::filesystem::exists(folder + "/last.pth"));
}

TEST(SkipTest, TensorBoardCountsThemAndHasNoGradientOfASkippedStep) {
  PreparedData data = Data();
  MakeHuge(data, 5);  // the last step of every epoch
  const std::string folder = Folder("events");
  TrainOptions options;
  options.tensorboard = true;
  const auto summary = Train(Skipping(), data, folder, {}, options);
  ASSERT_TRUE(summary.ok()) << summary.status();
  std::string events;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().find("tfevents") != std::string::npos) {
      events = Bytes(entry.path());
    }
  }
  EXPECT_THAT(events, AllOf(HasSubstr("train/skipped_steps"), HasSubstr("loss/total"),
                            Not(HasSubstr("gradient/"))));
}

TEST(ClipTest, ChangesTheRunOnlyWhereItClips) {
  const std::string plain = Folder("plain"), loose = Folder("loose"), tight = Folder("tight");
  MustTrain(Config(), Data(), plain);
  MustTrain(Config("training { gradient_clip_norm: 1e6 }"), Data(), loose);
  MustTrain(Config("training { gradient_clip_norm: 1e-9 }"), Data(), tight);
  EXPECT_EQ(Bytes(loose + "/metrics.jsonl"), Bytes(plain + "/metrics.jsonl"));
  EXPECT_NE(Bytes(tight + "/metrics.jsonl"), Bytes(plain + "/metrics.jsonl"));
}

// A conversation of one utterance of this class.
Conversation Utterance(const std::string& id, int64_t label) {
  Conversation conversation = RandomConversation(id, 1);
  conversation.labels.fill_(label);
  return conversation;
}

void ExpectAllFinite(const std::string& folder) {
  for (const char* file :
       {"/summary.json", "/metrics.jsonl", "/test_predictions.jsonl", "/test_views.jsonl"}) {
    EXPECT_THAT(Bytes(folder + file),
                AllOf(Not(testing::IsEmpty()), Not(HasSubstr("NaN")), Not(HasSubstr("Infinity"))))
        << file;
  }
}

// Every split is one utterance, and none has a class of another: nothing to normalize over, nothing
// to contrast, two classes without support everywhere.
TEST(SmallSplitsTest, OneUtteranceEach) {
  torch::manual_seed(1);
  PreparedData data;
  data.info = StubInfo();
  data.info.class_counts = {1, 0, 0};
  data.conversations = {Utterance("a", 0), Utterance("b", 1), Utterance("c", 2)};
  data.train = {0};
  data.valid = {1};
  data.test = {2};
  for (const char* norm : {"BN", "LN", "LN2"}) {
    SCOPED_TRACE(norm);
    const std::string folder = Folder(absl::StrCat("one_", norm));
    RunConfig config =
        Config(absl::StrCat(kEveryOtherLoss, "backbone { [type.googleapis.com/cmerc.M3NetOptions] ",
                            "{ norm: ", norm, " input_width: 8 graph_width: 6 } }"));
    const RunSummary summary = MustTrain(config, data, folder);
    ExpectAllFinite(folder);
    const SplitReport& test = summary.test();
    EXPECT_EQ(test.conversations(), 1);
    EXPECT_EQ(test.utterances(), 1);
    ASSERT_EQ(test.classes_size(), 3);
    // Right or wrong as a whole.
    const bool right = test.confusion(2).predicted(2) == 1;
    for (const double score : {test.accuracy(), test.weighted_f1(), test.macro_f1(),
                               test.micro_f1(), test.classes(2).recall()}) {
      EXPECT_EQ(score, right ? 1 : 0);
    }
    for (const int without : {0, 1}) {
      EXPECT_EQ(test.classes(without).support(), 0);
      EXPECT_EQ(test.classes(without).recall(), 0);
      EXPECT_EQ(test.classes(without).f1(), 0);
    }
    EXPECT_EQ(test.views_size(), 4);
    // One utterance of validation tells no remedy.
    EXPECT_EQ(test.post_hoc_size(), 0);
    EXPECT_EQ(summary.warnings_size(), 3);
    EXPECT_EQ(summary.train().utterances(), 1);
    EXPECT_EQ(summary.valid().utterances(), 1);
  }
}

// A class that training never sees is the whole test split.
TEST(SmallSplitsTest, AClassWithoutSupportInTraining) {
  torch::manual_seed(1);
  PreparedData data = Data();
  data.info.class_counts = {9, 8, 0};
  for (const int64_t i : data.train) data.conversations[i].labels.clamp_max_(1);
  for (const int64_t i : data.valid) data.conversations[i].labels.fill_(1);
  for (const int64_t i : data.test) data.conversations[i].labels.fill_(2);
  const std::string folder = Folder("unseen");
  const RunSummary summary = MustTrain(Config(kEveryOtherLoss), data, folder);
  ExpectAllFinite(folder);
  EXPECT_EQ(summary.train().classes(2).support(), 0);
  EXPECT_EQ(summary.valid().classes(1).recall(), summary.valid().accuracy());
  const SplitReport& test = summary.test();
  EXPECT_EQ(test.classes(2).support(), test.utterances());
  EXPECT_EQ(test.weighted_f1(), test.classes(2).f1());
  // Over the classes that are labels or predictions.
  int occurring = 1;
  for (const int c : {0, 1}) occurring += test.confusion(2).predicted(c) > 0 ? 1 : 0;
  EXPECT_DOUBLE_EQ(test.macro_f1(), test.classes(2).f1() / occurring);
}

}  // namespace
}  // namespace cmerc
