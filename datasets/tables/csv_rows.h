// The rows of a CSV file (RFC 4180), one after the other.
#ifndef CMERC_DATASETS_TABLES_CSV_ROWS_H_
#define CMERC_DATASETS_TABLES_CSV_ROWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc::datasets {

class CsvRows {
 public:
  // `text` must outlive this; `separator` is a comma, a semicolon or a tab.
  CsvRows(absl::string_view text, char separator) : rest_(text), separator_(separator) {}

  // Reads the next row that is not blank into `fields`, without the quotes around them; false at
  // the end. InvalidArgument, with the line: a quote is not closed, or is followed by something
  // else than a separator or a line end.
  absl::StatusOr<bool> Next(std::vector<std::string>* fields);

  // The line at which that row begins, from 1.
  int64_t line() const { return line_; }

 private:
  // Reads a field in quotes; its first quote is next.
  absl::StatusOr<std::string> ReadQuoted();
  std::string ReadPlain();
  // Whether a line end is next; moves behind it.
  bool TakeLineEnd();

  absl::string_view rest_;
  const char separator_;
  int64_t line_ = 0;
  int64_t next_line_ = 1;  // where rest_ is
};

}  // namespace cmerc::datasets

#endif  // CMERC_DATASETS_TABLES_CSV_ROWS_H_
