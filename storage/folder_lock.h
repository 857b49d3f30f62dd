// One process at a time writes into a folder.
#ifndef CMERC_STORAGE_FOLDER_LOCK_H_
#define CMERC_STORAGE_FOLDER_LOCK_H_

#include <string>

#include "absl/status/statusor.h"

namespace cmerc {

// Holds `folder`/lock, which names the process and goes with this object. The system drops the lock
// of a process that dies, so that what it leaves behind holds nobody up.
class FolderLock {
 public:
  // FailedPrecondition: another process holds the folder. Unavailable: the file system has no
  // locks. NotFound, PermissionDenied or what else the system's error maps to: the file cannot be
  // made.
  static absl::StatusOr<FolderLock> Take(const std::string& folder);

  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) = delete;
  ~FolderLock();

 private:
  FolderLock(std::string path, int file) : path_(std::move(path)), file_(file) {}

  std::string path_;
  int file_;  // -1: moved from
};

// FolderLock::Take() of the folder that the flag --output names: that another process holds it is
// InvalidArgument, and says what to do.
absl::StatusOr<FolderLock> LockOutput(const std::string& output);

// Whether a process holds the lock of `folder`.
bool IsLocked(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_STORAGE_FOLDER_LOCK_H_
