// A data set knows what made its features, and so does every file that it is written to.
#include <gmock/gmock.h>
#include <google/protobuf/any.pb.h>
#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "datasets/assembly/in_memory.h"
#include "datasets/export.h"
#include "datasets/records.pb.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// A training conversation; `extractors` is the value of that key as JSON.
std::string Line(const std::string& id, const std::string& extractors) {
  return absl::StrCat(
      R"({"id":")", id, R"(","split":"train","extractors":)", extractors,
      R"(,"utterances":[{"speaker":"A","label":"joy","features":{"text":[1,2],"audio":[3]}},)",
      R"({"speaker":"B","label":"anger","features":{"text":[3,4]}}]})", "\n");
}

absl::StatusOr<std::unique_ptr<Dataset>> Load(const std::string& bytes) {
  RecordsOptions options;
  options.set_file(testing::TempDir() + "/extracted");
  std::ofstream(options.file(), std::ios::binary) << bytes;
  google::protobuf::Any any;
  any.PackFrom(options);
  return Datasets().Create(any);
}

TEST(ExtractorsTest, EveryFormatKeepsThem) {
  const auto dataset =
      Load(Line("a", R"({"audio":"smile 2"})") + Line("b", R"({"text":"bert é 1"})"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const auto both = ElementsAre(Pair("audio", "smile 2"), Pair("text", "bert é 1"));
  EXPECT_THAT(ExtractorsOf(**dataset), both);
  for (const auto write : {&WriteRecords, &WriteJsonLines, &WriteNpz}) {
    std::string bytes;
    const auto sink = [&](absl::string_view piece) {
      absl::StrAppend(&bytes, piece);
      return absl::OkStatus();
    };
    ASSERT_TRUE(write(**dataset, sink, [](int64_t) {}).ok());
    const auto again = Load(bytes);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_THAT(ExtractorsOf(**again), both);
    EXPECT_THAT(WarningsOf(**again), IsEmpty());
  }
}

TEST(ExtractorsTest, TwoOfOneModalityAreRefused) {
  EXPECT_THAT(
      Load(Line("a", R"({"text":"bert 1"})") + Line("b", "{}") + Line("c", R"({"text":"bert 2"})"))
          .status()
          .message(),
      HasSubstr("extracted, line 3: extractors.text is \"bert 2\", want \"bert 1\" as of "
                "the others: features of two extractors are no one modality"));
}

TEST(ExtractorsTest, ConversationsThatDoNotSayAreWarnedOf) {
  const auto dataset = Load(Line("a", "{}") + Line("b", R"({"text":"bert 1"})") + Line("c", "{}"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(WarningsOf(**dataset),
              ElementsAre(HasSubstr("2 of 3 conversations do not say what made their features of "
                                    "text (\"extractors\"); they are taken for those of bert 1")));
  const auto silent = Load(Line("a", "{}"));
  ASSERT_TRUE(silent.ok()) << silent.status();
  EXPECT_THAT(WarningsOf(**silent), IsEmpty());
  EXPECT_THAT(ExtractorsOf(**silent), IsEmpty());
}

}  // namespace
}  // namespace cmerc
