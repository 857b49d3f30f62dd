#include "datasets/assembly/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Warnings(const std::vector<std::string>& names) {
  std::vector<int64_t> counts;
  for (size_t c = 0; c < names.size(); ++c) counts.push_back(static_cast<int64_t>(c) + 1);
  return ClassNameWarnings(names, counts);
}

TEST(ClassNameWarningsTest, NamesThatAreNotOdd) {
  EXPECT_THAT(Warnings({"joy", "anger", "neutral"}), IsEmpty());
  EXPECT_THAT(Warnings({"0", "1", "2"}), IsEmpty());
  EXPECT_THAT(Warnings({"-3", "0.5", "3"}), IsEmpty());
  EXPECT_THAT(Warnings({"class_0", "class_1", "oth"}), IsEmpty());
}

TEST(ClassNameWarningsTest, NamesThatDifferInCaseOrBlanksAlone) {
  EXPECT_THAT(
      Warnings({"joy", "anger", "Joy", "JOY ", "Anger"}),
      ElementsAre("the classes \"anger\" (2 utterances) and \"Anger\" (5 utterances) differ "
                  "only in case or blanks; are they one?",
                  "the classes \"joy\" (1 utterance) and \"Joy\" (3 utterances) and \"JOY \" "
                  "(4 utterances) differ only in case or blanks; are they one?"));
}

TEST(ClassNameWarningsTest, NumbersAmongNames) {
  EXPECT_THAT(
      Warnings({"0", "joy", "2", "neutral"}),
      ElementsAre("some classes are numbers, \"0\" (1 utterance), \"2\" (3 utterances), and "
                  "some are names, \"joy\" (2 utterances), \"neutral\" (4 utterances); are "
                  "they the same ones?"));
}

TEST(ClassNameWarningsTest, MarksOfUtterancesWithoutALabel) {
  for (const std::string mark : {"-1", "xxx", "XxX", "nan", "None", "", "unlabelled", " - "}) {
    const std::vector<std::string> warnings = Warnings({"joy", mark, "anger"});
    EXPECT_THAT(warnings, ElementsAre("the class \"" + mark +
                                      "\" (2 utterances) is called as utterances without a label "
                                      "are, but is trained and scored like any other"));
  }
  // Beside numbers a -1 is no number among names.
  EXPECT_EQ(Warnings({"-1", "0", "1"}).size(), 1u);
}

TEST(BaseNameTest, IsWithoutFolderAndEnding) {
  EXPECT_EQ(BaseName("data/corpus.jsonl"), "corpus");
  EXPECT_EQ(BaseName("corpus"), "corpus");
  EXPECT_EQ(BaseName("a.b/c.d.pkl"), "c.d");
  EXPECT_EQ(BaseName("/x/.hidden"), ".hidden");
}

}  // namespace
}  // namespace cmerc
