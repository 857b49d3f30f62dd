#include "datasets/tables/utterance_csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace cmerc::datasets {
namespace {

using testing::HasSubstr;

// Every utterance in a line: conversation/utterance speaker label text.
std::string Read(const std::string& text, CsvLabel label = CsvLabel::kEmotion) {
  const absl::StatusOr<UtteranceCsv> csv = ParseUtteranceCsv(text, "f.csv", label);
  if (!csv.ok()) return std::string(csv.status().message());
  std::string out;
  for (const CsvConversation& conversation : csv->conversations) {
    for (const CsvUtterance& utterance : conversation.utterances) {
      absl::StrAppend(&out, conversation.id, "/", utterance.id, " ", utterance.speaker, " ",
                      utterance.label, " ", utterance.text, "\n");
    }
  }
  return out;
}

// Neither the columns nor the rows are in an order that another part of the file has.
const char kMeld[] =
    "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season\r\n"
    "1,\"Well, \"\"hello\"\"\n there\",Rachel,joy,positive,10,1,8\r\n"
    "2,So?,Joey,neutral,neutral,2,5,8\r\n"
    "3,,Ross,anger,negative,10,0,8\r\n";

TEST(UtteranceCsvTest, OrdersConversationsAndUtterances) {
  EXPECT_EQ(Read(kMeld),
            "2/5 Joey neutral So?\n"
            "10/0 Ross anger \n"
            "10/1 Rachel joy Well, \"hello\"\n there\n");
  EXPECT_EQ(Read(kMeld, CsvLabel::kSentiment),
            "2/5 Joey neutral So?\n"
            "10/0 Ross negative \n"
            "10/1 Rachel positive Well, \"hello\"\n there\n");
  const auto csv = ParseUtteranceCsv(kMeld, "f.csv", CsvLabel::kEmotion);
  EXPECT_EQ(csv->warning, "");
  EXPECT_EQ(csv->conversations[1].utterances[0].line, 5);
}

TEST(UtteranceCsvTest, TakesColumnsByNameAndAnySeparator) {
  const std::string want = "3/1 Ann sad Hm; no\n";
  EXPECT_EQ(Read("Utterance_ID,EMOTION,Dialogue_ID, speaker ,Utterance\n1,sad,3,Ann,Hm; no"), want);
  EXPECT_EQ(
      Read("Utterance_ID\tEmotion\tDialogue_ID\tSpeaker\tUtterance\n1\tsad\t3\tAnn\tHm; no\n"),
      want);
  EXPECT_EQ(Read("Utterance_ID;Emotion;Dialogue_ID;Speaker;Utterance\n1;sad;3;Ann;\"Hm; no\"\n\n"),
            want);
  // A byte order mark, and a label that is missing.
  EXPECT_EQ(Read("\xEF\xBB\xBFUtterance,Utterance_ID,Emotion,Dialogue_ID,Speaker\nHm,1,,3,Ann\n"),
            "3/1 Ann  Hm\n");
}

TEST(UtteranceCsvTest, ReadsWindows1252WithAWarning) {
  const std::string text = absl::StrReplaceAll(kMeld, {{"So?", "It\x92s\x85 \xE9"}});
  const auto csv = ParseUtteranceCsv(text, "f.csv", CsvLabel::kEmotion);
  ASSERT_TRUE(csv.ok()) << csv.status();
  EXPECT_EQ(csv->conversations[0].utterances[0].text, "It\u2019s\u2026 \u00E9");
  EXPECT_THAT(csv->warning, HasSubstr("line 4, column Utterance: byte 0x92 is not UTF-8"));
  EXPECT_THAT(Read(absl::StrReplaceAll(kMeld, {{"So?", "It\x81s"}})),
              HasSubstr("f.csv: line 4, column Utterance: byte 0x81 is neither UTF-8 nor"));
  // UTF-8 stays as it is.
  EXPECT_THAT(Read(absl::StrReplaceAll(kMeld, {{"So?", "\u2019"}})), HasSubstr("\u2019\n"));
}

TEST(UtteranceCsvTest, NamesLineAndColumnOfWhatIsWrong) {
  const auto spoiled = [](const std::string& from, const std::string& to) {
    return Read(absl::StrReplaceAll(kMeld, {{from, to}}));
  };
  EXPECT_THAT(spoiled("Speaker,", "Who,"),
              HasSubstr("f.csv: line 1: there is no column Speaker; it has \"Sr No.\", "));
  EXPECT_THAT(spoiled("Season", "emotion"), HasSubstr("there are two columns Emotion"));
  EXPECT_THAT(spoiled("So?", "So, what?"),
              HasSubstr("f.csv: line 4 has 9 fields, want 8 as in the header"));
  EXPECT_THAT(spoiled("2,5,8", "2,5"), HasSubstr("line 4 has 7 fields, want 8"));
  EXPECT_THAT(spoiled(",2,5,", ",two,5,"),
              HasSubstr("line 4, column Dialogue_ID: is \"two\", want an integer >= 0"));
  EXPECT_THAT(spoiled(",2,5,", ",2,-5,"), HasSubstr("line 4, column Utterance_ID: is \"-5\""));
  EXPECT_THAT(spoiled(",2,5,", ",10,1,"),
              HasSubstr("line 4, column Utterance_ID: utterance 1 of conversation 10 is in line 2 "
                        "too"));
  EXPECT_THAT(spoiled("Ross", " "), HasSubstr("line 5, column Speaker: is empty, want a name"));
  EXPECT_THAT(spoiled("So?", "\"So?"), HasSubstr("line 4: a quote is not closed"));
  EXPECT_THAT(spoiled(" there\"", " there\"!"),
              HasSubstr("line 3: text follows the closing quote of a field that began in line 2"));
  const std::string meld = kMeld;
  EXPECT_THAT(Read(meld.substr(0, meld.find('\n') + 1)), HasSubstr("has a header but no rows"));
}

TEST(UtteranceCsvTest, NamesOtherFiles) {
  EXPECT_THAT(Read("\xFF\xFE" + std::string("U\0,\0", 4)), HasSubstr("f.csv: is text in UTF-16"));
  EXPECT_THAT(Read("<!DOCTYPE html>"), HasSubstr("is a web page, want CSV"));
  EXPECT_THAT(Read("[{\"Utterance\": 1}]"), HasSubstr("is one JSON list, want CSV"));
  EXPECT_EQ(ReadUtteranceCsv("/nonexistent.csv", CsvLabel::kEmotion).status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace cmerc::datasets
