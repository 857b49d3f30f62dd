// A file of predictions that is written line by line, so that whoever is killed can go on behind
// what is there: --resume.
#ifndef CMERC_BIN_RESUMED_FILE_H_
#define CMERC_BIN_RESUMED_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

class ResumedFile {
 public:
  // Opens the file, or makes it, for this process alone, and counts the lines that are whole; what
  // remembers of them is where the last `remembered` begin. FailedPrecondition: another process has
  // it open for the same. Other codes: it cannot be opened or read; messages name the path.
  static absl::StatusOr<std::unique_ptr<ResumedFile>> Open(const std::string& path,
                                                           int64_t remembered);
  ~ResumedFile();
  ResumedFile(const ResumedFile&) = delete;
  ResumedFile& operator=(const ResumedFile&) = delete;

  const std::string& path() const { return path_; }
  // How many lines are whole. What stands behind them is half a line.
  int64_t lines() const { return lines_; }

  // The lines from number `first` on, from 0, without their ends. `first` is one of the last that
  // are remembered, or lines(). Unavailable: the file cannot be read.
  absl::StatusOr<std::vector<std::string>> LinesFrom(int64_t first) const;

  // Adds to the file, behind the lines that are whole; half a line there is cut off before. Errors
  // name the path and the system's reason.
  absl::Status Append(absl::string_view text);
  // Sees to it that what was written is on the disk. Errors are those of Append().
  absl::Status Sync();

 private:
  explicit ResumedFile(std::string path) : path_(std::move(path)) {}

  absl::Status Count(int64_t remembered);
  absl::Status Error(absl::string_view what, int error) const;

  const std::string path_;
  int file_ = -1;
  int64_t lines_ = 0;
  int64_t size_ = 0;             // of the lines that are whole, in bytes
  bool is_cut_ = false;          // what stands behind them is gone
  std::vector<int64_t> begins_;  // of the last lines that are whole
};

}  // namespace cmerc

#endif  // CMERC_BIN_RESUMED_FILE_H_
