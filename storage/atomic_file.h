// Files that appear all at once, written in one go or piece by piece.
#ifndef CMERC_STORAGE_ATOMIC_FILE_H_
#define CMERC_STORAGE_ATOMIC_FILE_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

// Writes all of `contents` to an open file. Returns the system's error number, 0 when all went
// well.
int WriteAll(int descriptor, absl::string_view contents);

// The ending of the names of temporary files.
inline constexpr absl::string_view kTemporaryEnding = ".cmerc-tmp";

// The file that a path leads to: links are followed, also one that leads to a file that is not
// there yet. FailedPrecondition: the links go round in circles.
absl::StatusOr<std::string> FollowLinks(const std::string& path);

// Replaces the file as a whole: a reader, or a power cut, sees the old contents or the new. Follows
// symbolic links, as FollowLinks(). Removes temporary files that killed processes left in the same
// folder. Errors name the path, the system's reason and what to do: NotFound (no such
// folder), PermissionDenied, ResourceExhausted (full disk), FailedPrecondition (a folder or a
// device), or what the system's error maps to. After an error the old file is as it was.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view contents);

// A file that is written piece by piece and appears at once. Errors are those of
// WriteFileAtomically().
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
  std::optional<mode_t> mode_;  // the permissions of the file that is replaced
  int file_ = -1;
};

}  // namespace cmerc

#endif  // CMERC_STORAGE_ATOMIC_FILE_H_
