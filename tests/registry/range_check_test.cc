#include "registry/range_check.h"

#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/registry/registry_test.pb.h"

namespace cmerc {
namespace {

using cmerc_test::DeltaOptions;
using google::protobuf::Any;
using google::protobuf::FieldDescriptor;
using testing::ElementsAre;

// The least that is valid: its required field is set.
DeltaOptions Valid() {
  DeltaOptions options;
  options.set_name("d");
  return options;
}

std::vector<std::string> ProblemsOf(const DeltaOptions& options, const std::string& path = "") {
  std::vector<std::string> problems;
  CheckRanges(
      options, path, [&](const std::string& problem) { problems.push_back(problem); },
      [](const Any&, const FieldDescriptor&, const std::string&) {});
  return problems;
}

TEST(RangeTextTest, EveryForm) {
  const auto text = [](const char* what, double low, double high) {
    Range range;
    for (const char* bound = what; *bound != '\0'; ++bound) {
      if (*bound == '[') range.set_min(low);
      if (*bound == '(') range.set_above(low);
      if (*bound == ']') range.set_max(high);
      if (*bound == ')') range.set_below(high);
    }
    return RangeText(range);
  };
  EXPECT_EQ(text("", 0, 1), "");
  EXPECT_EQ(text("[", 1, 2), ">= 1");
  EXPECT_EQ(text("(", 1, 2), "> 1");
  EXPECT_EQ(text("]", 1, 2), "<= 2");
  EXPECT_EQ(text(")", 1, 2), "< 2");
  EXPECT_EQ(text("[)", 0, 1), "in [0, 1)");
  EXPECT_EQ(text("(]", 0.5, 1), "in (0.5, 1]");
}

TEST(InRangeTest, BoundsAndNaN) {
  Range range;
  EXPECT_TRUE(InRange(NAN, range));
  range.set_min(1);
  EXPECT_TRUE(InRange(1, range));
  EXPECT_FALSE(InRange(0.999, range));
  EXPECT_FALSE(InRange(NAN, range));
  range.set_below(2);
  EXPECT_TRUE(InRange(1.999, range));
  EXPECT_FALSE(InRange(2, range));
}

TEST(CheckRangesTest, FieldsThatAreNotSetAreInRange) {
  EXPECT_THAT(ProblemsOf(Valid()), ElementsAre());
  EXPECT_EQ(CheckRanges(Valid()), absl::OkStatus());
}

TEST(CheckRangesTest, BoundsBelongOrDoNotBelong) {
  DeltaOptions options = Valid();
  options.set_count(1);
  options.set_share(0);
  options.set_rate(std::numeric_limits<double>::min());
  options.set_slope(-1);
  EXPECT_THAT(ProblemsOf(options), ElementsAre());
  options.set_count(0);
  options.set_share(1);
  options.set_rate(0);
  options.set_slope(-0.5F);
  EXPECT_THAT(ProblemsOf(options),
              ElementsAre("count = 0, must be >= 1", "share = 1, must be in [0, 1)",
                          "rate = 0, must be > 0", "slope = -0.5, must be <= -1"));
}

TEST(CheckRangesTest, NumbersAreFinite) {
  DeltaOptions options = Valid();
  options.set_rate(NAN);
  options.set_slope(-std::numeric_limits<float>::infinity());
  options.set_free(INFINITY);
  EXPECT_THAT(ProblemsOf(options),
              ElementsAre("rate = nan, must be finite and > 0",
                          "slope = -inf, must be finite and <= -1", "free = inf, must be finite"));
}

TEST(CheckRangesTest, ListsAndMessagesWithin) {
  DeltaOptions options = Valid();
  options.add_weights(1);
  options.add_weights(-1);
  options.add_weights(NAN);
  options.mutable_inner()->set_big(uint64_t{1} << 40);
  options.add_inners()->mutable_inner()->set_small(8);
  options.add_inners()->mutable_inner()->set_small(9);
  const std::vector<std::string> problems = ProblemsOf(options, "p[q]");
  EXPECT_THAT(problems, ElementsAre("p[q].weights[1] = -1, must be >= 0",
                                    "p[q].weights[2] = nan, must be finite and >= 0",
                                    "p[q].inner.big = 1099511627776, must be <= 1000",
                                    "p[q].inners[1].inner.small = 9, must be < 9"));
}

TEST(CheckRangesTest, RequiredFields) {
  DeltaOptions options;
  options.set_count(0);
  EXPECT_THAT(ProblemsOf(options), ElementsAre("count = 0, must be >= 1", "name is missing"));
}

TEST(CheckRangesTest, VisitsAnyAndLooksIntoNone) {
  DeltaOptions bad = Valid(), options = Valid();
  bad.set_count(0);
  options.mutable_other()->PackFrom(bad);
  EXPECT_EQ(CheckRanges(options), absl::OkStatus());
  std::vector<std::string> visited;
  CheckRanges(
      options, "at", [](const std::string& problem) { FAIL() << problem; },
      [&](const Any& any, const FieldDescriptor& field, const std::string& path) {
        visited.push_back(absl::StrCat(path, " ", field.name(), " ", any.type_url()));
      });
  EXPECT_THAT(visited, ElementsAre("at.other other type.googleapis.com/cmerc_test.DeltaOptions"));
}

TEST(CheckRangesTest, OptionsOfAPluginAllAtOnce) {
  DeltaOptions options = Valid();
  options.set_count(-3);
  options.set_share(NAN);
  EXPECT_EQ(CheckRanges(options),
            absl::InvalidArgumentError(
                "cmerc_test.DeltaOptions: count = -3, must be >= 1; "
                "cmerc_test.DeltaOptions: share = nan, must be finite and in [0, 1)"));
}

}  // namespace
}  // namespace cmerc
