// The log-probabilities of a run's views.
#include "experiment/test_views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

absl::StatusOr<TestViews> Read(const std::string& text) {
  const std::string path = NewFolder() + "/test_views.jsonl";
  WriteFile(path, text);
  return ReadTestViews(path);
}

constexpr char kWhole[] =
    R"({"id":"a","log_probs":[-1,-0.5],"without":[{"view":"text","log_probs":[-2,0]},)"
    R"({"view":"audio","log_probs":[-3,-4]}]})"
    "\n";

TEST(TestViewsTest, UtterancesWithoutALabelAreLeftOut) {
  const auto read = Read(std::string(kWhole) +
                         R"({"id":"b","log_probs":[null],"without":[{"view":"text",)"
                         R"("log_probs":[null]},{"view":"audio","log_probs":[null]}]})"
                         "\n"
                         R"({"id":"c","log_probs":[null,-7],"without":[{"view":"text",)"
                         R"("log_probs":[null,-8]},{"view":"audio","log_probs":[null,-9]}]})"
                         "\n");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->ids, ElementsAre("a", "c"));
  EXPECT_THAT(read->lengths, ElementsAre(2, 1));
  EXPECT_THAT(read->log_probs, ElementsAre(-1, -0.5, -7));
  EXPECT_THAT(read->without.at("text"), ElementsAre(-2, 0, -8));
  EXPECT_THAT(read->without.at("audio"), ElementsAre(-3, -4, -9));
}

// Of a labelled utterance and one without a label, whose largest probability is known all the same.
constexpr char kLargest[] =
    R"({"id":"a","log_probs":[-1,null],"largest_log_probs":[-0.5,-0.25],"without":[)"
    R"({"view":"text","log_probs":[-2,null],"largest_log_probs":[-0.75,-0.125]}]})"
    "\n";

TEST(TestViewsTest, TheLargestProbabilitiesOfLabelledUtterances) {
  const auto read = Read(std::string(kLargest) +
                         R"({"id":"b","log_probs":[-3],"largest_log_probs":[-1.5],"without":[)"
                         R"({"view":"text","log_probs":[-4],"largest_log_probs":[-1.25]}]})"
                         "\n");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->log_probs, ElementsAre(-1, -3));
  EXPECT_THAT(read->largest, ElementsAre(-0.5, -1.5));
  EXPECT_THAT(read->largest_without.at("text"), ElementsAre(-0.75, -1.25));
  EXPECT_THAT(read->without.at("text"), ElementsAre(-2, -4));
}

TEST(TestViewsTest, AFileOfARunBeforeThereWereAnyHasNone) {
  const auto read = Read(kWhole);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(read->largest, IsEmpty());
  EXPECT_THAT(read->largest_without, IsEmpty());
  // A conversation without a label says nothing of the others.
  const auto unlabelled =
      Read(R"({"id":"b","log_probs":[null],"largest_log_probs":[-1],"without":[{"view":"text",)"
           R"("log_probs":[null],"largest_log_probs":[-1]},{"view":"audio",)"
           R"("log_probs":[null],"largest_log_probs":[-1]}]})"
           "\n" +
           std::string(kWhole));
  ASSERT_TRUE(unlabelled.ok()) << unlabelled.status();
  EXPECT_THAT(unlabelled->largest, IsEmpty());
  EXPECT_THAT(unlabelled->largest_without, IsEmpty());
}

TEST(TestViewsTest, PutTogetherTheyAreThereWhereBothHaveThem) {
  const auto with = Read(kLargest), without = Read(kWhole);
  ASSERT_TRUE(with.ok() && without.ok());
  TestViews all;
  Append(*with, &all);
  Append(*with, &all);
  EXPECT_THAT(all.ids, ElementsAre("a", "a"));
  EXPECT_THAT(all.largest, ElementsAre(-0.5, -0.5));
  EXPECT_THAT(all.largest_without.at("text"), ElementsAre(-0.75, -0.75));
  Append(*without, &all);
  EXPECT_THAT(all.largest, IsEmpty());
  EXPECT_THAT(all.largest_without, IsEmpty());
  EXPECT_THAT(all.without.at("text"), ElementsAre(-2, -2, -2, 0));
}

TEST(TestViewsTest, RefusesLargestProbabilitiesThatDoNotFit) {
  for (const char* line : {
           // None, none of the view, one too many, one that is no number.
           R"({"id":"b","log_probs":[-1],"without":[{"view":"text","log_probs":[-1]}]})",
           R"({"id":"b","log_probs":[-1],"largest_log_probs":[-1],"without":[)"
           R"({"view":"text","log_probs":[-1]}]})",
           R"({"id":"b","log_probs":[-1],"largest_log_probs":[-1,-1],"without":[)"
           R"({"view":"text","log_probs":[-1],"largest_log_probs":[-1]}]})",
           R"({"id":"b","log_probs":[null],"largest_log_probs":[-1],"without":[)"
           R"({"view":"text","log_probs":[null],"largest_log_probs":[null]}]})",
       }) {
    const auto read = Read(std::string(kLargest) + line + "\n");
    ASSERT_FALSE(read.ok()) << line;
    EXPECT_THAT(read.status().message(), HasSubstr("test_views.jsonl:2: cannot be read"));
  }
}

TEST(TestViewsTest, RefusesWhatDoesNotFit) {
  for (const char* line : {
           "{",
           R"({"id":"b","log_probs":["-1"],"without":[{"view":"text","log_probs":[-1]},)"
           R"({"view":"audio","log_probs":[-1]}]})",
           R"({"id":"b","log_probs":[null],"without":[{"view":"text","log_probs":[-1]},)"
           R"({"view":"audio","log_probs":[null]}]})",
           R"({"id":"b","log_probs":[-1],"without":[{"view":"text","log_probs":[-1]}]})",
           R"({"id":"b","log_probs":[-1],"without":[{"view":"text","log_probs":[-1,-2]},)"
           R"({"view":"audio","log_probs":[-1]}]})",
       }) {
    const auto read = Read(std::string(kWhole) + line + "\n");
    ASSERT_FALSE(read.ok()) << line;
    EXPECT_EQ(read.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(read.status().message(), HasSubstr("test_views.jsonl:2: cannot be read"));
  }
}

}  // namespace
}  // namespace cmerc
