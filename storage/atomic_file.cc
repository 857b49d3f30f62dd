#include "storage/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/status.h"

namespace cmerc {
namespace {

std::string Folder(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Says that `path` cannot be written, why, and what to do.
absl::Status WriteError(const std::string& path, int error) {
  std::string remedy;
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      remedy = absl::StrCat("create the folder ", Folder(path), " or choose another path");
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      remedy = absl::StrCat("choose a path you may write to, or change the permissions of ",
                            Folder(path));
      break;
    case ENOSPC:
    case EDQUOT:
      remedy = "free some disk space or choose a path on another disk";
      break;
    case EFBIG:
      remedy = "raise the limit on the size of files (ulimit -f)";
      break;
    default:
      remedy = "choose another path";
  }
  // absl::ErrnoToStatusCode() takes a file that is too large for an argument that is out of range.
  return absl::Status(
      error == EFBIG ? absl::StatusCode::kResourceExhausted : absl::ErrnoToStatusCode(error),
      absl::StrCat("cannot write ", path, ": ", std::strerror(error), "; ", remedy));
}

}  // namespace

int WriteAll(int descriptor, absl::string_view contents) {
  while (!contents.empty()) {
    const ssize_t written = write(descriptor, contents.data(), contents.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    contents.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::Create(const std::string& path) {
  std::unique_ptr<AtomicFile> file(new AtomicFile(path));
  RETURN_IF_ERROR(file->Open());
  return file;
}

absl::Status AtomicFile::Open() {
  target_ = path_;
  struct stat info;
  if (stat(path_.c_str(), &info) == 0) {
    if (!S_ISREG(info.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot write ", path_, ": it is ",
                       S_ISDIR(info.st_mode) ? "a folder" : "not a regular file",
                       "; choose the path of a file"));
    }
    char* resolved = realpath(path_.c_str(), nullptr);
    if (resolved == nullptr) return WriteError(path_, errno);
    target_ = resolved;
    std::free(resolved);
    if (access(target_.c_str(), W_OK) != 0) return WriteError(path_, errno);
    mode_ = info.st_mode & 0777;
  }

  // The temporary file is in the same folder, since rename() works within one file system only.
  static std::atomic<int> counter{0};
  do {
    temporary_ = absl::StrCat(target_, ".", getpid(), ".", counter++, kTemporaryEnding);
    file_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (file_ < 0 && errno == EEXIST);
  if (file_ < 0) {
    temporary_.clear();
    return WriteError(path_, errno);
  }
  if (mode_.has_value() && fchmod(file_, *mode_) != 0) return WriteError(path_, errno);
  return absl::OkStatus();
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) close(file_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status AtomicFile::Write(absl::string_view contents) {
  const int error = WriteAll(file_, contents);
  return error == 0 ? absl::OkStatus() : WriteError(path_, error);
}

absl::Status AtomicFile::Commit() {
  if (fsync(file_) != 0) return WriteError(path_, errno);
  const int closed = close(file_);
  file_ = -1;
  if (closed != 0) return WriteError(path_, errno);
  if (rename(temporary_.c_str(), target_.c_str()) != 0) return WriteError(path_, errno);
  temporary_.clear();

  // The new name, too, is to survive a power cut; not every file system can do this.
  const int folder = open(Folder(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
  return absl::OkStatus();
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view contents) {
  ASSIGN_OR_RETURN(const std::unique_ptr<AtomicFile> file, AtomicFile::Create(path));
  RETURN_IF_ERROR(file->Write(contents));
  return file->Commit();
}

}  // namespace cmerc
