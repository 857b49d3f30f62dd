// The predictions of a run, in the form of this version and of the one before.
#include "experiment/test_predictions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

absl::StatusOr<TestPredictions> Read(const std::string& text,
                                     const std::vector<std::string>& class_names = {}) {
  const std::string path = NewFolder() + "/test_predictions.jsonl";
  WriteFile(path, text);
  return ReadTestPredictions(path, class_names);
}

constexpr char kFormer[] =
    R"({"id":"a","labels":[2,0],"predicted":[2,1],"probabilities":[[0.2,0.3,0.5],[0.1,0.8,0.1]]})"
    "\n"
    R"({"id":"12","labels":[1],"predicted":[1],"probabilities":[[0,1,0]]})"
    "\n";

// The same, of classes that the data set lists as sad, joy, calm.
constexpr char kPresent[] =
    R"({"id":"a","utterances":[{"speaker":"A","true_label":"calm","label":"calm",)"
    R"("probabilities":{"calm":0.5,"joy":0.3,"sad":0.2},"confidence":0.5,)"
    R"("calibrated_probabilities":{},"without":[]},{"speaker":"B","true_label":"sad",)"
    R"("label":"joy","probabilities":{"calm":0.1,"joy":0.8,"sad":0.1},"confidence":0.8}]})"
    "\n"
    R"({"id":12,"utterances":[{"true_label":"joy","label":"joy",)"
    R"("probabilities":{"calm":0,"joy":1,"sad":0}}]})"
    "\n";

TEST(TestPredictionsTest, BothFormsAreOne) {
  for (const char* text : {kFormer, kPresent}) {
    const auto read = Read(text, {"sad", "joy", "calm"});
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_THAT(read->ids, ElementsAre("a", "12"));
    EXPECT_THAT(read->lengths, ElementsAre(2, 1));
    EXPECT_THAT(read->labels, ElementsAre(2, 0, 1));
    EXPECT_THAT(read->predicted, ElementsAre(2, 1, 1));
  }
}

TEST(TestPredictionsTest, WithoutNamesTheyAreThoseOfTheFile) {
  const auto read = Read(kPresent);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->labels, ElementsAre(0, 2, 1));  // calm, joy, sad
  EXPECT_THAT(read->predicted, ElementsAre(0, 1, 1));
}

// What nobody labelled cannot be compared.
TEST(TestPredictionsTest, UtterancesWithoutALabelAreLeftOut) {
  const auto read =
      Read(std::string(kPresent) +
               R"({"id":"x","utterances":[{"label":"joy","probabilities":{"joy":1}}]})"
               "\n"
               R"({"id":"y","utterances":[{"label":"joy","probabilities":{"joy":1}},)"
               R"({"true_label":"sad","label":"joy","probabilities":{"joy":0.75,"sad":0.25}}]})"
               "\n",
           {"sad", "joy", "calm"});
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->ids, ElementsAre("a", "12", "y"));
  EXPECT_THAT(read->lengths, ElementsAre(2, 1, 1));
  EXPECT_THAT(read->labels, ElementsAre(2, 0, 1, 0));
  EXPECT_EQ(read->confidences.size(), 4u);
}

TEST(TestPredictionsTest, NoFileIsNoPredictions) {
  const auto read = ReadTestPredictions(NewFolder() + "/none.jsonl");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->ids, IsEmpty());
}

TEST(TestPredictionsTest, RefusesWhatDoesNotFit) {
  for (
      const char* line : {
          "",
          "[]",
          "{",
          "{}",
          "{\"id\":",
          "{\"id\":-",
          R"({"id":"a","labels":[0],"predicted":[0,1],"probabilities":[[1,0]]})",
          R"({"id":"a","labels":[0],"predicted":[2],"probabilities":[[1,0]]})",
          R"({"id":"a","labels":[-1],"predicted":[0],"probabilities":[[1,0]]})",
          R"({"id":"a","utterances":[{"true_label":"rage","label":"joy","probabilities":{"joy":1}}]})",
          R"({"id":"a","utterances":[{"true_label":"joy","label":"rage"}]})",
      }) {
    const auto read = Read(std::string(kPresent) + line + "\n", {"sad", "joy", "calm"});
    ASSERT_FALSE(read.ok()) << line;
    EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(read.status().message(),
                HasSubstr("test_predictions.jsonl:3: cannot be read as predictions"));
  }
}

}  // namespace
}  // namespace cmerc
