#include "datasets/official/budget.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cmerc::datasets {
namespace {

constexpr int64_t kMiB = 1 << 20;

TEST(BudgetTest, SixtyFourTimesTheFileAndAMebibyte) {
  Budget budget(1000);
  EXPECT_TRUE(budget.Spend(16000, 4).ok());
  EXPECT_TRUE(budget.Spend(kMiB, 1).ok());
  const absl::Status status = budget.Spend(1, 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "repeats its objects so often that the data takes more than 64 times the file; the "
            "file may be hostile");
}

TEST(BudgetTest, ACountThatDoesNotFitIntoTheNumberOfItsBytes) {
  Budget budget(1000);
  EXPECT_FALSE(budget.Spend(int64_t{1} << 62, 8).ok());
}

TEST(BudgetTest, TextsCountWithTheStringsThatHoldThem) {
  Budget budget(0);
  const std::vector<std::string> texts(16, std::string(kMiB / 16 - sizeof(std::string), 'x'));
  EXPECT_TRUE(budget.Spend(texts).ok());
  EXPECT_FALSE(budget.Spend({""}).ok());
}

}  // namespace
}  // namespace cmerc::datasets
