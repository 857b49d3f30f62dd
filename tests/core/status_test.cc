#include "core/status.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

namespace cmerc {
namespace {

using Numbers = std::map<std::string, int>;

absl::Status Refuse(bool refuse) {
  return refuse ? absl::NotFoundError("refused") : absl::OkStatus();
}

absl::StatusOr<int> Number(int value) {
  if (value < 0) return absl::OutOfRangeError("negative");
  return value;
}

absl::StatusOr<std::unique_ptr<int>> Owned(int value) {
  ASSIGN_OR_RETURN(const int number, Number(value));
  return std::make_unique<int>(number);
}

TEST(ReturnIfErrorTest, GoesOnWhereThereIsNone) {
  int calls = 0;
  const auto f = [&](bool first, bool second) -> absl::Status {
    RETURN_IF_ERROR(Refuse(first));
    ++calls;
    if (second) RETURN_IF_ERROR(Refuse(second));
    ++calls;
    return absl::OkStatus();
  };
  EXPECT_EQ(f(true, false), absl::NotFoundError("refused"));
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(f(false, true), absl::NotFoundError("refused"));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(f(false, false), absl::OkStatus());
  EXPECT_EQ(calls, 3);
}

TEST(ReturnIfErrorTest, EvaluatesOnceAndTakesCommas) {
  int calls = 0;
  const auto f = [&]() -> absl::StatusOr<int> {
    RETURN_IF_ERROR(Refuse(std::pair<bool, int>(false, ++calls).first));
    return calls;
  };
  EXPECT_EQ(f().value(), 1);
}

TEST(ReturnIfErrorTest, IsOneStatement) {
  const auto f = [](bool refuse) -> absl::Status {
    if (refuse)
      RETURN_IF_ERROR(Refuse(true));
    else
      return absl::UnknownError("else");
    return absl::OkStatus();
  };
  EXPECT_EQ(f(true), absl::NotFoundError("refused"));
  EXPECT_EQ(f(false), absl::UnknownError("else"));
}

TEST(AssignOrReturnTest, DeclaresAndAssignsTwiceInOneScope) {
  const auto sum = [](int a, int b, int c) -> absl::StatusOr<int> {
    ASSIGN_OR_RETURN(int total, Number(a));
    ASSIGN_OR_RETURN(const int second, Number(b));
    total += second;
    int third = -1;
    ASSIGN_OR_RETURN(third, Number(c));
    return total + third;
  };
  EXPECT_EQ(sum(1, 2, 3).value(), 6);
  for (const auto& status : {sum(-1, 2, 3), sum(1, -2, 3), sum(1, 2, -3)}) {
    EXPECT_EQ(status.status(), absl::OutOfRangeError("negative"));
  }
}

TEST(AssignOrReturnTest, LeavesTheTargetOfAFailedAssignmentAlone) {
  int target = 7;
  const auto f = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(target, Number(-1));
    return absl::OkStatus();
  };
  EXPECT_EQ(f(), absl::OutOfRangeError("negative"));
  EXPECT_EQ(target, 7);
}

TEST(AssignOrReturnTest, MovesWhatCannotBeCopied) {
  const auto f = [](int value) -> absl::StatusOr<std::unique_ptr<int>> {
    ASSIGN_OR_RETURN(std::unique_ptr<int> owned, Owned(value));
    ++*owned;
    return owned;
  };
  EXPECT_EQ(**f(4), 5);
  EXPECT_EQ(f(-4).status(), absl::OutOfRangeError("negative"));
}

TEST(AssignOrReturnTest, TakesCommasInTheExpression) {
  const auto make = [](const std::string& name, int value) -> absl::StatusOr<Numbers> {
    ASSIGN_OR_RETURN(const int number, Number(value));
    return Numbers{{name, number}};
  };
  const auto f = [&](int value) -> absl::StatusOr<size_t> {
    ASSIGN_OR_RETURN(const Numbers numbers, make("a", value));
    return numbers.size();
  };
  EXPECT_EQ(f(1).value(), 1u);
  EXPECT_EQ(f(-1).status(), absl::OutOfRangeError("negative"));
}

TEST(AnnotateTest, KeepsTheCodeAndNamesThePlace) {
  EXPECT_EQ(Annotate(absl::NotFoundError("no file"), "data"), absl::NotFoundError("data: no file"));
  EXPECT_EQ(Annotate(absl::OkStatus(), "data"), absl::OkStatus());
}

TEST(AnnotateTest, PassesValuesOn) {
  EXPECT_EQ(Annotate(Number(3), "losses[1]").value(), 3);
  EXPECT_EQ(Annotate(Number(-3), "losses[1]").status(),
            absl::OutOfRangeError("losses[1]: negative"));
  EXPECT_EQ(**Annotate(Owned(3), "losses[1]"), 3);
}

}  // namespace
}  // namespace cmerc
