// CSV files of MELD's form (datasets/tables/utterance_csv, csv_rows).
//
//   tests/fuzz/run.sh utterance_csv -max_total_time=300
//
// Laws: an error is InvalidArgument and names the file; memory is bounded by its size;
// conversations and utterances that are accepted are in ascending order of their ids, with
// speakers, and all text is UTF-8; what is accepted is written as CSV and read again as equal.
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "datasets/formats/utf8.h"
#include "datasets/tables/utterance_csv.h"
#include "tests/fuzz/law.h"

namespace cmerc::fuzz {
namespace {

using datasets::CsvConversation;
using datasets::CsvLabel;
using datasets::CsvUtterance;
using datasets::ParseUtteranceCsv;
using datasets::UtteranceCsv;

std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string ToCsv(const UtteranceCsv& csv) {
  std::string text = "Dialogue_ID,Utterance_ID,Emotion,Speaker,Utterance\n";
  for (const CsvConversation& conversation : csv.conversations) {
    for (const CsvUtterance& utterance : conversation.utterances) {
      absl::StrAppend(&text, conversation.id, ",", utterance.id, ",", Quoted(utterance.label), ",",
                      Quoted(utterance.speaker), ",", Quoted(utterance.text), "\n");
    }
  }
  return text;
}

void Check(const UtteranceCsv& csv) {
  int64_t last = -1;
  for (const CsvConversation& conversation : csv.conversations) {
    Law(conversation.id > last && !conversation.utterances.empty(), "conversations are in order");
    last = conversation.id;
    int64_t last_utterance = -1;
    for (const CsvUtterance& utterance : conversation.utterances) {
      Law(utterance.id > last_utterance, "utterances are in order");
      last_utterance = utterance.id;
      Law(!utterance.speaker.empty(), "everybody has a name");
      for (const std::string* text : {&utterance.speaker, &utterance.label, &utterance.text}) {
        Law(datasets::IsUtf8(*text), "text is UTF-8");
      }
    }
  }
}

void Run(const std::string& text) {
  for (const CsvLabel label : {CsvLabel::kEmotion, CsvLabel::kSentiment}) {
    const PeakMemory memory;
    const auto csv = ParseUtteranceCsv(text, "fuzz", label);
    memory.CheckAtMost(text.size(), 64, size_t{64} << 10);
    if (!csv.ok()) {
      CheckError(csv.status(), "fuzz: ");
      continue;
    }
    Check(*csv);
    const std::string written = ToCsv(*csv);
    const auto again = ParseUtteranceCsv(written, "again", CsvLabel::kEmotion);
    Law(again.ok(), "what is written is read", again.status().ToString());
    Law(again->warning.empty() && ToCsv(*again) == written, "what is written is read as equal",
        written);
  }
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cmerc::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
