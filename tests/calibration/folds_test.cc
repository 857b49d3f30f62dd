#include "calibration/folds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

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

DataConfig TestFolds(int folds, int fold, const std::string& group) {
  DataConfig config;
  config.set_test_folds(folds);
  config.set_test_fold(fold);
  config.set_fold_group(group);
  return config;
}

struct DividedInThree {
  absl::Status status;
  std::vector<std::string> train, valid, test;
};

// The test fold of conversations, of which the first two are the files' validation split and the
// last three their test split; then, with folds, the fold of the others.
DividedInThree DivideAll(const DataConfig& config, const std::vector<Conversation>& conversations) {
  const auto count = static_cast<int64_t>(conversations.size());
  std::vector<int64_t> valid = {0, 1}, test = {count - 1, count - 2, count - 3}, train;
  for (int64_t i = 2; i < count - 3; ++i) train.push_back(i);
  DividedInThree divided;
  divided.status = TakeTestFold(config, conversations, &train, &valid, &test);
  if (divided.status.ok() && config.folds() > 0) {
    EXPECT_THAT(valid, testing::IsEmpty());
    divided.status = TakeFold(config, conversations, &train, &valid);
  }
  for (const int64_t i : train) divided.train.push_back(conversations[i].id);
  for (const int64_t i : valid) divided.valid.push_back(conversations[i].id);
  for (const int64_t i : test) divided.test.push_back(conversations[i].id);
  return divided;
}

// Sessions of 3, 1, 4, 2 and 2 conversations, in no order.
std::vector<Conversation> FiveSessions() {
  return Called({"Ses04_b", "Ses01_b", "Ses03_a", "Ses05_a", "Ses03_d", "Ses01_a", "Ses02_a",
                 "Ses03_c", "Ses01_c", "Ses03_b", "Ses05_b", "Ses04_a"});
}

TEST(TestFoldsTest, EverySessionIsTestedOnceAndNeverTrainedOnThen) {
  const std::vector<Conversation> conversations = FiveSessions();
  const DividedInThree last = DivideAll(TestFolds(5, 4, "Ses??"), conversations);
  ASSERT_TRUE(last.status.ok()) << last.status;
  EXPECT_THAT(last.test, ElementsAre("Ses05_a", "Ses05_b"));
  EXPECT_THAT(last.valid, ElementsAre("Ses01_a", "Ses01_b", "Ses01_c"));
  EXPECT_THAT(last.train, ElementsAre("Ses02_a", "Ses03_a", "Ses03_b", "Ses03_c", "Ses03_d",
                                      "Ses04_a", "Ses04_b"));
  for (const auto& [parts, folds, group] :
       {std::tuple(5, 0, "Ses??"), {3, 0, "Ses??"}, {5, 3, "Ses??"}, {4, 0, ""}, {2, 2, ""}}) {
    SCOPED_TRACE(testing::Message() << parts << " " << folds << " " << group);
    std::multiset<std::string> tested;
    for (int part = 0; part < parts; ++part) {
      DataConfig config = TestFolds(parts, part, group);
      config.set_folds(folds);
      const DividedInThree divided = DivideAll(config, conversations);
      ASSERT_TRUE(divided.status.ok()) << divided.status;
      tested.insert(divided.test.begin(), divided.test.end());
      EXPECT_FALSE(divided.train.empty() || divided.valid.empty() || divided.test.empty());
      std::set<std::string> all;
      std::map<std::string, std::string> split_of;  // of a group
      for (const auto& [split, ids] :
           {std::pair("train", divided.train), {"valid", divided.valid}, {"test", divided.test}}) {
        for (const std::string& id : ids) {
          EXPECT_TRUE(all.insert(id).second) << id << " twice";
          const auto of_group =
              split_of.emplace(FoldGroupOf(id, *group == '\0' ? "*" : group).value_or(id), split);
          EXPECT_EQ(of_group.first->second, split) << id;
        }
      }
      EXPECT_EQ(all.size(), conversations.size());
    }
    EXPECT_EQ(tested.size(), conversations.size());
    EXPECT_EQ(std::set<std::string>(tested.begin(), tested.end()).size(), conversations.size());
  }
}

TEST(TestFoldsTest, FoldsDivideWhatIsNotTestedOn) {
  DataConfig config = TestFolds(5, 2, "Ses??");
  config.set_folds(2);
  config.set_fold(1);
  const DividedInThree divided = DivideAll(config, FiveSessions());
  ASSERT_TRUE(divided.status.ok()) << divided.status;
  EXPECT_THAT(divided.test, ElementsAre("Ses03_a", "Ses03_b", "Ses03_c", "Ses03_d"));
  EXPECT_THAT(divided.train, ElementsAre("Ses01_a", "Ses01_b", "Ses01_c", "Ses02_a"));
  EXPECT_THAT(divided.valid, ElementsAre("Ses04_a", "Ses04_b", "Ses05_a", "Ses05_b"));
}

TEST(TestFoldsTest, WhatIsRefused) {
  EXPECT_THAT(std::string(DivideAll(TestFolds(6, 0, "Ses??"), FiveSessions()).status.message()),
              HasSubstr("data.test_folds = 6, but data.fold_group = \"Ses??\" makes only 5 groups "
                        "of train + valid + test (Ses01, Ses02, Ses03, Ses04, Ses05); set at most "
                        "so many test_folds"));
  EXPECT_THAT(std::string(DivideAll(TestFolds(13, 0, ""), FiveSessions()).status.message()),
              HasSubstr("data.test_folds = 13, but train + valid + test has only 12 "
                        "conversations"));
  DataConfig config = TestFolds(5, 0, "Ses??");
  config.set_folds(5);
  EXPECT_THAT(std::string(DivideAll(config, FiveSessions()).status.message()),
              HasSubstr("data.folds = 5, but data.fold_group = \"Ses??\" makes only 4 groups of "
                        "what is not tested on (Ses02, "));
}

TEST(TestFoldsTest, SayWhatTheyTestOn) {
  const std::vector<Conversation> conversations = Called({"Ses01_a", "Ses02_b", "Ses03_a"});
  EXPECT_EQ(DescribeTestFold(TestFolds(0, 0, ""), conversations, {}, {}), "");
  EXPECT_EQ(DescribeTestFold(TestFolds(3, 1, "Ses??"), conversations, {2}, {1}),
            "test fold 1 of 3: tests on the groups Ses02, validates on Ses03");
  DataConfig divided = TestFolds(3, 1, "Ses??");
  divided.set_folds(2);
  EXPECT_EQ(DescribeTestFold(divided, conversations, {2}, {1}),
            "test fold 1 of 3: tests on the groups Ses02");
  EXPECT_THAT(DescribeTestFold(TestFolds(3, 1, ""), conversations, {2}, {1}),
              HasSubstr("one recording session may be both trained and tested on"));
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
