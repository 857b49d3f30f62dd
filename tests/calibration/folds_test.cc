#include "calibration/folds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <utility>

#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<Conversation> Called(const std::vector<std::string>& ids) {
  std::vector<Conversation> conversations;
  for (const std::string& id : ids) conversations.push_back(RandomConversation(id, 2));
  return conversations;
}

DataConfig Folds(int folds, int fold, const std::string& group) {
  DataConfig config;
  config.set_folds(folds);
  config.set_fold(fold);
  config.set_fold_group(group);
  return config;
}

struct Divided {
  absl::Status status;
  std::vector<std::string> train, valid;
};

// The fold of conversations, of which the first is the files' validation split.
Divided Divide(const DataConfig& config, const std::vector<Conversation>& conversations) {
  std::vector<int64_t> valid = {0}, train(conversations.size() - 1);
  std::iota(train.begin(), train.end(), 1);
  Divided divided;
  divided.status = TakeFold(config, conversations, &train, &valid);
  for (const int64_t i : train) divided.train.push_back(conversations[i].id);
  for (const int64_t i : valid) divided.valid.push_back(conversations[i].id);
  return divided;
}

TEST(FoldGroupTest, IsTheBeginningThatThePatternFits) {
  const auto group = [](const std::string& id, const std::string& pattern) {
    return FoldGroupOf(id, pattern).value_or("(none)");
  };
  EXPECT_EQ(group("Ses01F_impro01", "Ses??"), "Ses01");
  EXPECT_EQ(group("Ses01M_script02_1", "Ses??"), "Ses01");
  EXPECT_EQ(group("friends_s01e02_c03", "*_"), "friends_");
  EXPECT_EQ(group("friends_s01e02_c03", "*_*_"), "friends_s01e02_");
  EXPECT_EQ(group("x", "x"), "x");
  EXPECT_EQ(group("__", "*_"), "_");
  EXPECT_EQ(group("Bär_1", "B??"), "Bär");  // characters, not bytes
  for (const auto& [id, pattern] : {std::pair("Ses0", "Ses??"),
                                    {"ses01", "Ses??"},
                                    {"abc", "*_"},
                                    {"a_b", "*_*_"},
                                    {"", "?"}}) {
    EXPECT_EQ(group(id, pattern), "(none)") << id << " " << pattern;
  }
  EXPECT_THAT(std::string(FoldGroupOf("tr_3", "Ses??").status().message()),
              HasSubstr("data.fold_group = \"Ses??\" does not fit the id of conversation tr_3; "));
}

TEST(FoldsTest, NeverDivideAGroup) {
  // Sessions of 5, 1, 2 and 4 conversations, in no order.
  const std::vector<Conversation> conversations =
      Called({"Ses04_d", "Ses01_b", "Ses03_a", "Ses01_e", "Ses04_a", "Ses01_a", "Ses02_a",
              "Ses04_c", "Ses01_d", "Ses03_b", "Ses01_c", "Ses04_b"});
  const Divided half = Divide(Folds(2, 0, "Ses??"), conversations);
  ASSERT_TRUE(half.status.ok()) << half.status;
  EXPECT_THAT(half.valid,
              ElementsAre("Ses01_a", "Ses01_b", "Ses01_c", "Ses01_d", "Ses01_e", "Ses02_a"));
  EXPECT_THAT(half.train,
              ElementsAre("Ses03_a", "Ses03_b", "Ses04_a", "Ses04_b", "Ses04_c", "Ses04_d"));
  for (const int folds : {2, 3, 4}) {
    std::multiset<std::string> all;
    for (int fold = 0; fold < folds; ++fold) {
      const Divided part = Divide(Folds(folds, fold, "Ses??"), conversations);
      ASSERT_TRUE(part.status.ok()) << part.status;
      EXPECT_FALSE(part.valid.empty()) << folds << " " << fold;
      EXPECT_EQ(part.valid.size() + part.train.size(), conversations.size());
      for (const std::string& validated : part.valid) {
        all.insert(validated);
        for (const std::string& trained : part.train) {
          EXPECT_NE(validated.substr(0, 5), trained.substr(0, 5));
        }
      }
    }
    EXPECT_EQ(all.size(), conversations.size()) << folds;
  }
}

TEST(FoldsTest, WithoutGroupsASessionMayBeDivided) {
  const std::vector<Conversation> conversations =
      Called({"Ses01_a", "Ses02_a", "Ses01_b", "Ses01_c"});
  const Divided half = Divide(Folds(2, 0, ""), conversations);
  EXPECT_THAT(half.valid, ElementsAre("Ses01_a", "Ses01_b"));
  EXPECT_THAT(half.train, ElementsAre("Ses01_c", "Ses02_a"));
}

// Ids that are numbers are in the order of their values, where a group need not be in one piece.
TEST(FoldsTest, GroupsOfNumbers) {
  std::vector<Conversation> conversations = Called({"21", "3", "1", "30", "2", "10"});
  for (Conversation& conversation : conversations) conversation.numeric_id = true;
  const Divided first = Divide(Folds(3, 0, "?"), conversations);
  EXPECT_THAT(first.valid, ElementsAre("1", "10"));
  EXPECT_THAT(Divide(Folds(3, 2, "?"), conversations).valid, ElementsAre("3", "30"));
}

TEST(FoldsTest, WhatIsRefused) {
  const std::vector<Conversation> conversations = Called({"a_1", "b_1", "a_2", "b_2", "c1"});
  EXPECT_THAT(std::string(Divide(Folds(2, 0, "*_"), conversations).status.message()),
              HasSubstr("does not fit the id of conversation c1"));
  const Divided many = Divide(Folds(4, 0, "?"), conversations);
  EXPECT_TRUE(absl::IsInvalidArgument(many.status));
  EXPECT_THAT(
      std::string(many.status.message()),
      HasSubstr("data.folds = 4, but data.fold_group = \"?\" makes only 3 groups of train + "
                "valid (a, b, c); set at most so many folds"));
  EXPECT_THAT(std::string(Divide(Folds(6, 0, "?"), conversations).status.message()),
              HasSubstr("only 5 conversations"));
}

TEST(FoldsTest, SayWhatTheyValidateOn) {
  const std::vector<Conversation> conversations = Called({"Ses01_a", "Ses01_b", "Ses02_a"});
  EXPECT_EQ(DescribeFold(Folds(0, 0, ""), conversations, {}), "");
  EXPECT_EQ(DescribeFold(Folds(4, 1, "Ses??"), conversations, {0, 1, 2}),
            "fold 1 of 4: validates on the groups Ses01, Ses02");
  EXPECT_THAT(DescribeFold(Folds(4, 1, ""), conversations, {0}),
              HasSubstr("fold 1 of 4, conversation by conversation: one recording session may be"));
}

}  // namespace
}  // namespace cmerc
