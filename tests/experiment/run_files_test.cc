#include "experiment/run_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

absl::StatusOr<RunSummary> Read(const std::string& text) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/summary.json", text);
  return ReadSummary(folder);
}

TEST(ReadSummaryTest, WantsTestScores) {
  const auto read = Read("{\"valid\":{},\"test\":{\"weighted_f1\":0.5}}");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->test().weighted_f1(), 0.5);

  const absl::Status without = Read("{\"valid\":{\"weighted_f1\":0.5}}").status();
  EXPECT_EQ(without.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(without.message(), HasSubstr("summary.json: there are no test scores, which "
                                           "experiments compare, since the dataset has no test "
                                           "split; give it one"));
  for (const char* broken : {"", "{", "{}", "[]"}) {
    const absl::Status status = Read(broken).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << broken;
    EXPECT_THAT(status.message(), HasSubstr("summary.json: cannot be read as the summary"));
  }
}

}  // namespace
}  // namespace cmerc
