// Labels and features that are not there, in JSON Lines.
#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/json_lines.h"

namespace cmerc {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::HasSubstr;

std::string ErrorOf(const std::string& json) {
  const auto record = ConversationFromJson(json);
  if (record.ok()) return "no error";
  EXPECT_EQ(record.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(record.status().message());
}

// An utterance lacks what is left out, null or an empty list.
TEST(MissingValuesTest, UtterancesMayLackModalities) {
  const std::string first = R"({"id":"d","utterances":[{"speaker":"A","features":)";
  const std::string next = R"(},{"speaker":"B","features":)";
  const auto good = ConversationFromJson(absl::StrCat(
      first, R"({"text":null})", next, R"({"audio":[1],"text":[[2,3],[4,5]]})", next, "{}", next,
      R"({"gaze":[6],"text":[ ],"audio":[7]}},{"speaker":"B"},{"speaker":"C","features":null)",
      next, R"({"text":[[8,9],[10,11]],"audio":null})", "}]}"));
  ASSERT_TRUE(good.ok()) << good.status();
  ASSERT_EQ(good->utterances_size(), 7);
  ASSERT_EQ(good->modalities_size(), 3);
  const auto& audio = good->modalities(0);
  const auto& text = good->modalities(1);
  const auto& gaze = good->modalities(2);
  EXPECT_EQ(audio.name(), "audio");
  EXPECT_THAT(audio.absent(), ElementsAre(0, 2, 4, 5, 6));
  EXPECT_THAT(audio.streams(0).values(), ElementsAre(1, 7));
  EXPECT_EQ(text.name(), "text");
  EXPECT_THAT(text.absent(), ElementsAre(0, 2, 3, 4, 5));
  EXPECT_THAT(text.streams(0).values(), ElementsAre(2, 3, 8, 9));
  EXPECT_THAT(text.streams(1).values(), ElementsAre(4, 5, 10, 11));
  EXPECT_EQ(gaze.name(), "gaze");
  EXPECT_THAT(gaze.absent(), ElementsAre(0, 1, 2, 4, 5, 6));
  const std::string json = ConversationToJson(*good);
  EXPECT_THAT(json, HasSubstr(R"("speaker":"A","features":{}},)"));
  EXPECT_THAT(json, HasSubstr(R"("features":{"audio":[7],"gaze":[6]}})"));
  EXPECT_TRUE(MessageDifferencer::Equals(ConversationFromJson(json).value(), *good)) << json;

  // Widths and streams are those of the first utterance that has the modality.
  EXPECT_EQ(
      ErrorOf(absl::StrCat(first, "{}", next, R"({"text":[1,2]})", next, R"({"text":[1]})", "}]}")),
      "utterances[2].features.text has 1 values, want 2 as in utterances[1]");
  EXPECT_EQ(ErrorOf(absl::StrCat(first, "{}", next, R"({"text":[[1],[2]]})", next,
                                 R"({"text":[1]})", "}]}")),
            "utterances[2].features.text has 1 streams, want 2 as in utterances[1]");
  EXPECT_EQ(ErrorOf(absl::StrCat(first, R"({"text":[]})", next, R"({"text":null})", "}]}")),
            "utterances[0].features is missing or empty, want a modality, such as \"text\"");
}

TEST(MissingValuesTest, AnotherKeyMayBeMeantAsFeatures) {
  const std::string json = R"({"id":"d","utterances":[{"speaker":"A","features":{"t":[1]}},)"
                           R"({"speaker":"A","Feature":{"t":[1]}}]})";
  const auto record = ConversationFromJson(json, UnknownKeys::kKeep);
  EXPECT_EQ(record.status().message(), "utterances[1] has no \"features\"; is it \"Feature\"?");
}

TEST(MissingValuesTest, ALabelMayBeMissing) {
  const auto record = ConversationFromJson(
      R"({"id":"d","utterances":[{"speaker":"A","label":null,"features":{"t":[1]}},)"
      R"({"speaker":"A","label":-1,"features":{"t":[2]}}]})");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_FALSE(record->utterances(0).has_label());
  EXPECT_EQ(record->utterances(1).label(), kNoLabel);
  EXPECT_EQ(ErrorOf(R"({"id":"d","utterances":[{"speaker":"A","label":"","features":{}}]})"),
            "utterances[0].label is empty, want a name");
}

}  // namespace
}  // namespace cmerc
