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
