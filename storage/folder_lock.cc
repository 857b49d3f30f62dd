#include "storage/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace cmerc {
namespace {

std::string LockPath(const std::string& folder) { return absl::StrCat(folder, "/lock"); }

// " (process 123)", or nothing where the file does not say.
std::string Holder(int file) {
  char text[32];
  const ssize_t size = pread(file, text, sizeof(text), 0);
  const std::string number(text, size > 0 ? static_cast<size_t>(size) : 0);
  if (number.empty() || number.find_first_not_of("0123456789\n") != std::string::npos) return "";
  return absl::StrCat(" (process ", number.substr(0, number.find('\n')), ")");
}

}  // namespace

absl::StatusOr<FolderLock> FolderLock::Take(const std::string& folder) {
  const std::string path = LockPath(folder);
  while (true) {
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file < 0) {
      const int error = errno;
      return absl::Status(absl::ErrnoToStatusCode(error),
                          absl::StrCat("cannot write ", path, ": ", std::strerror(error)));
    }
    FolderLock lock(path, file);
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      const std::string holder = Holder(file);
      lock.file_ = -1;  // the file is the other's
      close(file);
      if (error == EWOULDBLOCK) {
        return absl::FailedPreconditionError(
            absl::StrCat("another process", holder, " writes into ", folder));
      }
      return absl::UnavailableError(
          absl::StrCat("cannot lock ", path, ": ", std::strerror(error),
                       "; choose a folder on a disk of this machine, where locks work"));
    }
    // Between opening and locking, the holder before may have removed the file.
    struct stat locked {};
    struct stat there {};
    if (fstat(file, &locked) == 0 && stat(path.c_str(), &there) == 0 &&
        locked.st_ino == there.st_ino && locked.st_dev == there.st_dev) {
      const std::string process = absl::StrCat(getpid(), "\n");
      // The number is for messages alone: on a full disk the lock holds without it.
      if (ftruncate(file, 0) != 0 || pwrite(file, process.data(), process.size(), 0) < 0) errno = 0;
      return lock;
    }
    lock.file_ = -1;
    close(file);
  }
}

FolderLock::FolderLock(FolderLock&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}

FolderLock::~FolderLock() {
  if (file_ < 0) return;
  unlink(path_.c_str());  // while it is locked: whoever opens it now sees that it is gone
  close(file_);
}

absl::StatusOr<FolderLock> LockOutput(const std::string& output) {
  absl::StatusOr<FolderLock> lock = FolderLock::Take(output);
  if (!absl::IsFailedPrecondition(lock.status())) return lock;
  return absl::InvalidArgumentError(absl::StrCat("--output=", output, ": ", lock.status().message(),
                                                 "; wait for its end, or choose another folder"));
}

bool IsLocked(const std::string& folder) {
  const int file = open(LockPath(folder).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return false;
  const bool locked = flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(file);
  return locked;
}

}  // namespace cmerc
