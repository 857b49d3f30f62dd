// The lines of a stream, each of bounded length.
#ifndef CMERC_DATASETS_FORMATS_LINE_READER_H_
#define CMERC_DATASETS_FORMATS_LINE_READER_H_

#include <cstdint>
#include <istream>
#include <string>

#include "absl/status/statusor.h"

namespace cmerc {

class LineReader {
 public:
  // `name` is for messages: "dialogues.jsonl"; `holds` says what a line has: "one conversation".
  // `in` must outlive this.
  LineReader(std::istream& in, std::string name, std::string holds)
      : in_(in), name_(std::move(name)), holds_(std::move(holds)) {}

  // Reads the next line that is not blank into `text`, without its end and without the mark that
  // some editors begin a file with; false where there is none. InvalidArgument: a line of more than
  // 256 MiB, which ends the reading. Unavailable: the stream cannot be read on.
  absl::StatusOr<bool> Next(std::string* text);

  // The number of the line that Next() has just returned, from 1.
  int64_t line() const { return line_; }
  // Where its text begins, in bytes from where the stream stood at first.
  int64_t begin() const { return begin_; }

 private:
  // The next line, blank or not. Errors are those of Next().
  absl::StatusOr<bool> ReadLine(std::string* text);

  std::istream& in_;
  const std::string name_;
  const std::string holds_;
  int64_t line_ = 0;
  int64_t begin_ = 0;
  int64_t position_ = 0;  // behind what was read
  bool ended_ = false;    // by a line that is too long
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_LINE_READER_H_
