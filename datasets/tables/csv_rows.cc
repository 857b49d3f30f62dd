#include "datasets/tables/csv_rows.h"

#include <algorithm>
#include <array>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/status.h"

namespace cmerc::datasets {

bool CsvRows::TakeLineEnd() {
  if (!absl::ConsumePrefix(&rest_, "\r\n") && !absl::ConsumePrefix(&rest_, "\n") &&
      !absl::ConsumePrefix(&rest_, "\r")) {
    return false;
  }
  ++next_line_;
  return true;
}

std::string CsvRows::ReadPlain() {
  const std::array<char, 3> ends = {separator_, '\r', '\n'};
  const size_t end =
      std::min(rest_.find_first_of(absl::string_view(ends.data(), ends.size())), rest_.size());
  std::string field(rest_.substr(0, end));
  rest_.remove_prefix(end);
  return field;
}

absl::StatusOr<std::string> CsvRows::ReadQuoted() {
  const int64_t begin = next_line_;
  rest_.remove_prefix(1);
  std::string field;
  while (true) {
    const size_t quote = rest_.find('"');
    const absl::string_view piece = rest_.substr(0, quote);
    field.append(piece.data(), piece.size());
    next_line_ += std::count(piece.begin(), piece.end(), '\n');
    if (quote == absl::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", begin, ": a quote is not closed up to the end of the file"));
    }
    rest_.remove_prefix(quote + 1);
    if (!absl::ConsumePrefix(&rest_, "\"")) break;
    field.push_back('"');
  }
  if (rest_.empty() || rest_[0] == separator_ || rest_[0] == '\r' || rest_[0] == '\n') return field;
  return absl::InvalidArgumentError(absl::StrCat(
      "line ", next_line_, ": text follows the closing quote of a field that began in ", "line ",
      begin, "; a quote within a field is written twice"));
}

absl::StatusOr<bool> CsvRows::Next(std::vector<std::string>* fields) {
  while (TakeLineEnd()) {
  }
  fields->clear();
  if (rest_.empty()) return false;
  line_ = next_line_;
  const std::array<char, 1> separator = {separator_};
  while (true) {
    if (absl::StartsWith(rest_, "\"")) {
      ASSIGN_OR_RETURN(fields->emplace_back(), ReadQuoted());
    } else {
      fields->push_back(ReadPlain());
    }
    if (absl::ConsumePrefix(&rest_, absl::string_view(separator.data(), 1))) continue;
    TakeLineEnd();
    return true;
  }
}

}  // namespace cmerc::datasets
