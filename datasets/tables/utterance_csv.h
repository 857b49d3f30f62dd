// CSV files with an utterance a row, of the form of MELD's: who spoke, what, with which emotion.
#ifndef CMERC_DATASETS_TABLES_UTTERANCE_CSV_H_
#define CMERC_DATASETS_TABLES_UTTERANCE_CSV_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc::datasets {

// One row. All text is UTF-8.
struct CsvUtterance {
  int64_t id = 0;  // Utterance_ID
  std::string speaker;
  std::string label;  // empty: the row has none
  std::string text;
  int64_t line = 0;  // of the file, where the row begins, from 1
};

struct CsvConversation {
  int64_t id = 0;                        // Dialogue_ID
  std::vector<CsvUtterance> utterances;  // at least one, in ascending order of their ids
};

struct UtteranceCsv {
  std::vector<CsvConversation> conversations;  // in ascending order of their ids
  // What a user should know: "line 2, column Utterance: byte 0x92 is not UTF-8; it was read as
  // Windows-1252, ...". Empty where there is nothing.
  std::string warning;
};

// Which column the labels are from.
enum class CsvLabel { kEmotion, kSentiment };

// Reads a file with a header that names the columns Utterance, Speaker, Dialogue_ID, Utterance_ID
// and that of the labels, in any order and case, among others. Fields are separated by commas,
// semicolons or tabs, whichever the header has; a field in quotes may hold these, line ends and
// doubled quotes. The file may begin with a byte order mark; a field that is not UTF-8 is read as
// Windows-1252, with a warning. Memory is bounded by 64 times the file.
//
// The message of an error begins with `path`, and names line and column. NotFound: there is no such
// file. InvalidArgument: it is something else, or a column is missing or there twice; a row has
// fewer or more fields than the header; a quote is not closed; an id is no integer >= 0, or a
// conversation has one twice; a speaker is empty; a field is no text.
absl::StatusOr<UtteranceCsv> ReadUtteranceCsv(const std::string& path, CsvLabel label);

// Reads what is in memory; `name` takes the place of the path in messages.
absl::StatusOr<UtteranceCsv> ParseUtteranceCsv(absl::string_view text, const std::string& name,
                                               CsvLabel label);

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_TABLES_UTTERANCE_CSV_H_
