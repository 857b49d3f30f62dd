#include "datasets/tables/utterance_csv.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "bytes/file_kind.h"
#include "bytes/whole_file.h"
#include "core/status.h"
#include "datasets/formats/utf8.h"
#include "datasets/tables/csv_rows.h"

namespace cmerc::datasets {
namespace {

// The columns that are read; their order is that of the names below.
enum Column { kText, kSpeaker, kConversation, kUtterance, kLabel, kNumColumns };

// A field as messages show it: a terminal must not be written to.
std::string Shown(absl::string_view text) {
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(text.substr(0, 60)), "\"");
}

// Returns the separator that the header has most of.
char SeparatorOf(absl::string_view text) {
  const absl::string_view header = text.substr(0, text.find_first_of("\r\n"));
  char best = ',';
  for (const char c : {';', '\t'}) {
    if (std::count(header.begin(), header.end(), c) >
        std::count(header.begin(), header.end(), best)) {
      best = c;
    }
  }
  return best;
}

class Reader {
 public:
  Reader(absl::string_view text, CsvLabel label)
      : names_({"Utterance", "Speaker", "Dialogue_ID", "Utterance_ID",
                label == CsvLabel::kEmotion ? "Emotion" : "Sentiment"}),
        rows_(text, SeparatorOf(text)) {}

  absl::StatusOr<UtteranceCsv> Read() {
    RETURN_IF_ERROR(ReadHeader());
    std::vector<std::string> fields;
    while (true) {
      ASSIGN_OR_RETURN(const bool found, rows_.Next(&fields));
      if (!found) break;
      RETURN_IF_ERROR(AddRow(&fields));
    }
    if (conversations_.empty()) {
      return absl::InvalidArgumentError("has a header but no rows, want a row for each utterance");
    }
    UtteranceCsv csv;
    csv.warning = std::move(warning_);
    for (auto& [id, utterances] : conversations_) {
      CsvConversation& conversation = csv.conversations.emplace_back();
      conversation.id = id;
      for (auto& [number, utterance] : utterances) {
        conversation.utterances.push_back(std::move(utterance));
      }
    }
    return csv;
  }

 private:
  absl::Status ReadHeader() {
    ASSIGN_OR_RETURN(const bool found, rows_.Next(&header_));
    if (!found) return absl::InvalidArgumentError("has no header");
    std::vector<std::string> missing;
    for (int c = 0; c < kNumColumns; ++c) {
      columns_[c] = header_.size();
      for (size_t i = 0; i < header_.size(); ++i) {
        if (!absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(header_[i]), names_[c])) continue;
        if (columns_[c] != header_.size()) {
          return absl::InvalidArgumentError(
              absl::StrCat("line 1: there are two columns ", names_[c], "; rename one"));
        }
        columns_[c] = i;
      }
      if (columns_[c] == header_.size()) missing.emplace_back(names_[c]);
    }
    if (missing.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "line 1: there is no column ", absl::StrJoin(missing, ", "), "; it has ",
        absl::StrJoin(header_, ", ",
                      [](std::string* out, const std::string& name) { out->append(Shown(name)); }),
        "; rename the columns in its first line"));
  }

  absl::Status Error(Column column, absl::string_view problem) const {
    return absl::InvalidArgumentError(
        absl::StrCat("line ", rows_.line(), ", column ", names_[column], ": ", problem));
  }

  absl::Status AddRow(std::vector<std::string>* fields) {
    if (fields->size() != header_.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", rows_.line(), " has ", fields->size(), " fields, want ", header_.size(),
          " as in the header; is there a separator in a text that is ", "not in quotes?"));
    }
    CsvUtterance utterance;
    utterance.line = rows_.line();
    ASSIGN_OR_RETURN(const int64_t conversation, ReadId(kConversation, *fields));
    ASSIGN_OR_RETURN(utterance.id, ReadId(kUtterance, *fields));
    ASSIGN_OR_RETURN(utterance.speaker, ReadText(kSpeaker, fields));
    ASSIGN_OR_RETURN(utterance.label, ReadText(kLabel, fields));
    ASSIGN_OR_RETURN(utterance.text, ReadText(kText, fields));
    absl::StripAsciiWhitespace(&utterance.speaker);
    absl::StripAsciiWhitespace(&utterance.label);
    if (utterance.speaker.empty()) return Error(kSpeaker, "is empty, want a name");
    const int64_t id = utterance.id;
    const auto [first, is_new] = conversations_[conversation].emplace(id, std::move(utterance));
    if (is_new) return absl::OkStatus();
    return Error(kUtterance,
                 absl::StrCat("utterance ", id, " of conversation ", conversation, " is in line ",
                              first->second.line,
                              " too; where a file joins several splits, keep them apart"));
  }

  absl::StatusOr<int64_t> ReadId(Column column, const std::vector<std::string>& fields) const {
    const std::string& field = fields[columns_[column]];
    int64_t id;
    if (absl::SimpleAtoi(field, &id) && id >= 0) return id;
    return Error(column, absl::StrCat("is ", Shown(field), ", want an integer >= 0"));
  }

  // Returns a field as UTF-8.
  absl::StatusOr<std::string> ReadText(Column column, std::vector<std::string>* fields) {
    std::string& field = (*fields)[columns_[column]];
    if (IsUtf8(field)) return std::move(field);
    std::string text;
    for (const char c : field) {
      const auto byte = static_cast<uint8_t>(c);
      const uint32_t code = Windows1252(byte);
      if (code == 0) {
        return Error(column, absl::StrFormat("byte 0x%02X is neither UTF-8 nor Windows-1252; save "
                                             "the file as UTF-8",
                                             byte));
      }
      AppendUtf8(code, &text);
    }
    if (warning_.empty()) {
      const auto high = std::find_if(field.begin(), field.end(), [](char c) { return c < 0; });
      warning_ = absl::StrFormat(
          "line %d, column %s: byte 0x%02X is not UTF-8; this field, and others like it, were read "
          "as Windows-1252: %s",
          rows_.line(), names_[column], static_cast<uint8_t>(*high), Shown(text));
    }
    return text;
  }

  const std::array<absl::string_view, kNumColumns> names_;
  std::array<size_t, kNumColumns> columns_;
  CsvRows rows_;
  std::vector<std::string> header_;
  std::map<int64_t, std::map<int64_t, CsvUtterance>> conversations_;
  std::string warning_;
};

}  // namespace

absl::StatusOr<UtteranceCsv> ParseUtteranceCsv(absl::string_view text, const std::string& name,
                                               CsvLabel label) {
  const std::string wrong = WrongFileKind(text, FileUse::kUtterances, name);
  if (!wrong.empty()) return absl::InvalidArgumentError(absl::StrCat(name, ": ", wrong));
  absl::ConsumePrefix(&text, "\xEF\xBB\xBF");
  return Annotate(Reader(text, label).Read(), name);
}

absl::StatusOr<UtteranceCsv> ReadUtteranceCsv(const std::string& path, CsvLabel label) {
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
  return ParseUtteranceCsv(text, path, label);
}

}  // namespace cmerc::datasets
