#include "calibration/difficulty.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "storage/pickle/pickle.h"
#include "storage/pickle/writer.h"
#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::string TempPath(const std::string& name) {
  return absl::StrCat(testing::TempDir(), "/", name);
}

std::string WriteText(const std::string& name, const std::string& contents) {
  const std::string path = TempPath(name);
  std::ofstream(path, std::ios::binary) << contents;
  return path;
}

// The message of the error that must come.
std::string Problem(const std::string& path,
                    absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
  const absl::Status status = ReadDifficulties(path).status();
  EXPECT_EQ(status.code(), code) << status;
  return std::string(status.message());
}

// Log-probabilities of the true classes as stub.h defines them, one number at a time.
std::vector<double> ByHand(const Conversation& conversation, double gain, const std::string& view) {
  const int64_t n = conversation.length();
  const auto value = [&](int modality, int64_t i, int64_t d) {
    const torch::Tensor& x = conversation.features[modality][0];
    if (view != (modality == 0 ? "text" : "audio")) return x[i][d].item<double>();
    double sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += x[j][d].item<double>();
    return sum / static_cast<double>(n);
  };
  std::vector<double> result;
  for (int64_t i = 0; i < n; ++i) {
    double logits[3];
    double exp_sum = 0;
    for (int64_t d = 0; d < 3; ++d) {
      double evidence = value(0, i, d) + value(1, i, d);
      for (int64_t j = 0; j < n; ++j) {
        const bool same =
            conversation.speakers[i].item<int64_t>() == conversation.speakers[j].item<int64_t>();
        if (j == i || (view == "same_speaker" && same) || (view == "other_speakers" && !same)) {
          continue;
        }
        evidence += 0.5 * value(0, j, d);
      }
      logits[d] = gain * evidence;
      exp_sum += std::exp(logits[d]);
    }
    result.push_back(logits[conversation.labels[i].item<int64_t>()] - std::log(exp_sum));
  }
  return result;
}

TEST(DifficultyOfTest, IsTheRankingOverAllViewsOfSpeakersAndUtterances) {
  const PreparedData data = StubData();
  StubBackbone backbone(0.7F);
  for (size_t i = 0; i < data.conversations.size(); ++i) {
    const Conversation& conversation = data.conversations[i];
    const std::vector<double> full = ByHand(conversation, 0.7, "");
    double ranking = 0;
    for (const std::string view : {"text", "audio", "same_speaker", "other_speakers"}) {
      const std::vector<double> without = ByHand(conversation, 0.7, view);
      for (size_t u = 0; u < full.size(); ++u) ranking += std::max(0.0, without[u] - full[u]);
    }
    const double speakers = conversation.speakers.max().item<double>() + 1;
    const double want =
        (ranking + speakers) / (speakers + static_cast<double>(conversation.length()));
    const auto difficulty = DifficultyOf(
        backbone, data.MakeBatch({static_cast<int64_t>(i)}).value(), CalibrationConfig());
    ASSERT_TRUE(difficulty.ok()) << difficulty.status();
    // Float32 log-probabilities below 10, off by some 1e-6 each, and averaged.
    EXPECT_NEAR(*difficulty, want, 4e-6) << conversation.id;
  }
  EXPECT_FALSE(backbone.is_training());
  EXPECT_EQ(backbone.steps.item<int64_t>(), 0);
  EXPECT_FALSE(backbone.gain.grad().defined());
}

TEST(DifficultyOfTest, OneUtteranceHasNothingToLose) {
  torch::manual_seed(1);
  Conversation conversation = RandomConversation("c", 1);
  conversation.speakers.fill_(1);  // the second speaker: S' = 2
  StubBackbone backbone;
  EXPECT_EQ(*DifficultyOf(backbone, MakeBatch({conversation}, StubInfo()), CalibrationConfig()),
            2.0F / 3.0F);
}

TEST(MeasureDifficultiesTest, TrainingConversationsInTheirOrder) {
  PreparedData data = StubData();
  data.train = {3, 0};
  StubBackbone backbone;
  const auto table = MeasureDifficulties(backbone, data, CalibrationConfig());
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(*table,
              ElementsAre(Pair("c3", *DifficultyOf(backbone, data.MakeBatch({3}).value(), {})),
                          Pair("c0", *DifficultyOf(backbone, data.MakeBatch({0}).value(), {}))));
}

TEST(MeasureDifficultiesTest, NamesTheConversationThatFails) {
  PreparedData data = StubData();
  data.conversations[2].labels.fill_(9);
  StubBackbone backbone;
  EXPECT_THAT(
      std::string(MeasureDifficulties(backbone, data, CalibrationConfig()).status().message()),
      AllOf(HasSubstr("conversation c2: "), HasSubstr("batch.labels holds 9")));
  StubBackbone broken(NAN);
  const absl::Status status = MeasureDifficulties(broken, StubData(), CalibrationConfig()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("difficulty of conversation c0 is nan"));
}

TEST(DifficultyFileTest, RoundTripsInTheOrderOfTheTable) {
  // Numbers that need all their digits, and orders that are not alphabetical.
  const DifficultyTable table = {
      {"Ses02", 0.1F}, {"Ses01", 1.0F / 3}, {"é \"quoted\"", 0}, {"x", -1e-20F}, {"3", 3e38F}};
  for (const std::string name : {"round.json", "round.txt", "round.pkl"}) {
    ASSERT_TRUE(WriteDifficulties(TempPath(name), {table, {}}, false).ok());
    const auto read = ReadDifficulties(TempPath(name));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->table, table) << name;
    EXPECT_FALSE(read->protocol.has_value()) << name;
  }
}

TEST(DifficultyFileTest, OurFileSaysTheProtocolOfItsModel) {
  for (const auto protocol : {DataConfig::HELD_OUT, DataConfig::OFFICIAL}) {
    ASSERT_TRUE(WriteDifficulties(TempPath("p.json"), {{{"a", 1.0F}}, protocol}, false).ok());
    EXPECT_EQ(ReadDifficulties(TempPath("p.json"))->protocol, protocol);
    // A Python dict has no place for it.
    ASSERT_TRUE(WriteDifficulties(TempPath("p.pkl"), {{{"a", 1.0F}}, protocol}, false).ok());
    EXPECT_FALSE(ReadDifficulties(TempPath("p.pkl"))->protocol.has_value());
  }
  EXPECT_THAT(Problem(WriteText("other.json", R"({"protocol": "held out"})")),
              AllOf(HasSubstr("other.json: protocol is \"held out\""),
                    HasSubstr("must be HELD_OUT or OFFICIAL")));
}

TEST(DifficultyFileTest, ANumberBeyondFloat32IsNotCalledInfinite) {
  EXPECT_THAT(Problem(WriteText("large.pkl", "(dp0\nI10\nF1e308\ns.")),
              AllOf(HasSubstr("the difficulty of 10 is 1e+308"), HasSubstr("within +-3.4e38")));
}

TEST(DifficultyFileTest, TheTellingIsByContentNotByName) {
  ASSERT_TRUE(WriteDifficulties(TempPath("a.pkl"), {{{"a", 1.0F}}, {}}, false).ok());
  std::filesystem::copy_file(TempPath("a.pkl"), TempPath("a.json"),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(ReadDifficulties(TempPath("a.json"))->table, ElementsAre(Pair("a", 1.0F)));
}

TEST(DifficultyFileTest, KeysOfAPickleAreIntsWhereTheDatasetsIdsAre) {
  const DifficultyTable table = {{"17", 0.5F}, {"-3", 0.25F}, {"not a number", 1.0F}};
  for (const bool numeric : {true, false}) {
    const std::string path = TempPath("keys.pkl");
    ASSERT_TRUE(WriteDifficulties(path, {table, {}}, numeric).ok());
    const auto document = pickle::Document::Open(path);
    ASSERT_TRUE(document.ok()) << document.status();
    EXPECT_EQ((*document)->root().Find(17) != nullptr, numeric);
    EXPECT_EQ((*document)->root().Find("17") != nullptr, !numeric);
    EXPECT_NE((*document)->root().Find("not a number"), nullptr);
    EXPECT_THAT(ReadDifficulties(path)->table, table);
  }
}

// pickle.dump({10: 0.5, "b": 1}, f, protocol): what other programs write.
TEST(DifficultyFileTest, ReadsPicklesOfOtherWriters) {
  EXPECT_THAT(ReadDifficulties(WriteText("p0.pkl", "(dp0\nI10\nF0.5\nsVb\np1\nI1\ns."))->table,
              ElementsAre(Pair("10", 0.5F), Pair("b", 1.0F)));
  EXPECT_TRUE(ReadDifficulties(WriteText("empty.pkl", "}."))->table.empty());
  EXPECT_TRUE(ReadDifficulties(WriteText("empty.json", " {} "))->table.empty());
}

TEST(DifficultyFileTest, AFileThatCannotBeRead) {
  EXPECT_THAT(Problem(TempPath("none.json"), absl::StatusCode::kNotFound),
              AllOf(HasSubstr("none.json: No such file"), HasSubstr("cmerc difficulty")));
  EXPECT_THAT(Problem(testing::TempDir()), HasSubstr("no regular file"));
  EXPECT_THAT(Problem(WriteText("nothing.json", "")), HasSubstr("nothing.json"));
  EXPECT_THAT(Problem(WriteText("text.json", "difficulties")), HasSubstr("text.json: byte 0"));
  EXPECT_FALSE(WriteDifficulties(TempPath("no/such/folder.json"), {}, false).ok());
}

TEST(DifficultyFileTest, BadJson) {
  EXPECT_THAT(Problem(WriteText("cut.json", "{\"conversations\": [")), HasSubstr("cut.json: "));
  EXPECT_THAT(Problem(WriteText("field.json", "{\"talks\": []}")), HasSubstr("talks"));
  EXPECT_THAT(Problem(WriteText("half.json", R"({"conversations": [
                  {"conversation": "a", "difficulty": 1}, {"conversation": "b"}]})")),
              HasSubstr("conversations[1] must have both"));
  EXPECT_THAT(Problem(WriteText("nan.json", R"({"conversations": [
                  {"conversation": "a", "difficulty": "NaN"}]})")),
              HasSubstr("nan.json: the difficulty of a is nan, want a finite number"));
  EXPECT_THAT(Problem(WriteText("twice.json", R"({"conversations": [
                  {"conversation": "a", "difficulty": 1}, {"conversation": "a", "difficulty": 1}]})")),
              HasSubstr("twice.json: a occurs twice"));
}

TEST(DifficultyFileTest, BadPickles) {
  EXPECT_THAT(Problem(WriteText("list.pkl", "].")),
              HasSubstr("want a dict of conversation id to difficulty, found list"));
  EXPECT_THAT(Problem(WriteText("text.pkl", "(dVa\nVb\ns.")), HasSubstr("(difficulty of a)"));
  EXPECT_THAT(Problem(WriteText("inf.pkl", "(dVa\nFinf\ns.")), HasSubstr("of a is inf"));
  EXPECT_THAT(Problem(WriteText("both.pkl", "(dI1\nF1\nsV1\nF2\ns.")), HasSubstr("1 occurs twice"));
  EXPECT_THAT(Problem(WriteText("key.pkl", "(d(tF1\ns.")), HasSubstr("key.pkl: byte"));
  EXPECT_THAT(Problem(WriteText("cut.pkl", "(dVa\nF1\ns")), HasSubstr("cut.pkl: byte"));
}

TEST(DifficultyFileTest, AHostilePickleRunsNothing) {
  const std::string witness = TempPath("witness");
  EXPECT_THAT(Problem(WriteText("hostile.pkl", "cos\nsystem\n(Vtouch " + witness + "\ntR.")),
              HasSubstr("os.system"));
  EXPECT_FALSE(std::filesystem::exists(witness));
}

TEST(AlignDifficultiesTest, PositionsInTheTrainingSplitInTheOrderOfTheTable) {
  PreparedData data = StubData();
  data.train = {2, 0, 3, 1};
  // c4 is of another split: of no use, and no harm.
  const auto aligned =
      AlignDifficulties({{"c1", 4}, {"c4", 9}, {"c2", 2}, {"c0", 3}, {"c3", 2}}, data, "file");
  ASSERT_TRUE(aligned.ok()) << aligned.status();
  EXPECT_THAT(*aligned, ElementsAre(Pair(3, 4), Pair(0, 2), Pair(1, 3), Pair(2, 2)));
}

TEST(AlignDifficultiesTest, SaysWhatIsMissingAndWhatIsUnknown) {
  const PreparedData data = StubData();
  const auto problem = [&](const DifficultyTable& table) {
    const absl::Status status = AlignDifficulties(table, data, "the.json").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(
      problem({{"c0", 1}, {"c2", 1}}),
      AllOf(HasSubstr("the.json"), HasSubstr("2 of 4 training conversations have none (c1, c3)")));
  EXPECT_THAT(problem({{"c0", 1}, {"c1", 1}, {"c2", 1}, {"c3", 1}, {"C0", 1}}),
              AllOf(HasSubstr("1 are of conversations that the dataset does not have (C0)"),
                    testing::Not(HasSubstr("have none"))));
  EXPECT_THAT(problem({}), HasSubstr("4 of 4"));
  DifficultyTable others;
  for (int i = 10; i < 20; ++i) others.emplace_back(absl::StrCat(i), 1);
  EXPECT_THAT(problem(others), AllOf(HasSubstr("4 of 4"), HasSubstr("10 are of"),
                                     HasSubstr("(10, 11, 12, 13, 14 and 5 more)")));
}

}  // namespace
}  // namespace cmerc
