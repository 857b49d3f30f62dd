// A file that is written piece by piece and appears all at once.
#ifndef CMERC_METRICS_ATOMIC_FILE_H_
#define CMERC_METRICS_ATOMIC_FILE_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

// Writes all of it to an open file; the system's error number, 0 when all went well.
int WriteAll(int descriptor, absl::string_view contents);

// How the names of temporary files end.
inline constexpr absl::string_view kTemporaryEnding = ".cmerc-tmp";

// Errors are those of WriteFileAtomically() in metrics/json.h.
class AtomicFile {
 public:
  // Nothing can be seen at `path` before Commit(): a temporary file beside it takes the writes.
  static absl::StatusOr<std::unique_ptr<AtomicFile>> Create(const std::string& path);
  // Removes the temporary file when there was no Commit().
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  absl::Status Write(absl::string_view contents);
  // Puts what was written at `path`, in place of what was there. Nothing is written afterwards.
  absl::Status Commit();

 private:
  explicit AtomicFile(std::string path) : path_(std::move(path)) {}

  absl::Status Open();

  const std::string path_;
  std::string target_;  // `path_`, or what it links to
  std::string temporary_;
  std::optional<mode_t> mode_;  // a file keeps its own
  int file_ = -1;
};

}  // namespace cmerc

#endif  // CMERC_METRICS_ATOMIC_FILE_H_
