#include "storage/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
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

// Whether `name` is one that AtomicFile gives: ends in .PROCESS.NUMBER.cmerc-tmp.
bool IsTemporaryName(absl::string_view name) {
  if (!absl::ConsumeSuffix(&name, kTemporaryEnding)) return false;
  for (int part = 0; part < 2; ++part) {
    const size_t dot = name.rfind('.');
    if (dot == absl::string_view::npos || dot + 1 == name.size()) return false;
    for (const char c : name.substr(dot + 1)) {
      if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
    }
    name.remove_suffix(name.size() - dot);
  }
  return !name.empty();
}

// Removes the temporary files in `folder` that no process writes any more: whoever writes one holds
// its lock, which the system takes from a process that dies.
void RemoveLeftovers(const std::string& folder) {
  std::error_code none;
  for (std::filesystem::directory_iterator entry(folder, none), end; !none && entry != end;
       entry.increment(none)) {
    const std::string path = entry->path().string();
    if (!IsTemporaryName(entry->path().filename().string())) continue;
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) continue;
    struct stat info {};
    if (fstat(file, &info) == 0 && S_ISREG(info.st_mode) && flock(file, LOCK_EX | LOCK_NB) == 0) {
      unlink(path.c_str());
    }
    close(file);
  }
}

// Makes a new file beside `target` and locks it; in `path` its name. Returns -1, and sets errno,
// where it cannot be made.
int OpenTemporary(const std::string& target, std::string* path) {
  static std::atomic<int> counter{0};
  while (true) {
    *path = absl::StrCat(target, ".", getpid(), ".", counter++, kTemporaryEnding);
    const int file = open(path->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0 && errno == EEXIST) continue;
    if (file < 0) return -1;
    // Before it was locked, another process may have taken it for a leftover. A file system without
    // locks has no leftovers removed either.
    const bool is_locked = flock(file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    struct stat info {};
    if (is_locked && (fstat(file, &info) != 0 || info.st_nlink > 0)) return file;
    close(file);
  }
}

}  // namespace

absl::StatusOr<std::string> FollowLinks(const std::string& path) {
  constexpr int kMostLinks = 40;  // the system's own limit
  std::string target = path;
  for (int links = 0; links <= kMostLinks; ++links) {
    std::string next(PATH_MAX, '\0');
    const ssize_t length = readlink(target.c_str(), &next[0], next.size());
    if (length < 0 && errno == ELOOP) break;
    if (length < 0) return target;  // no link
    next.resize(static_cast<size_t>(length));
    const size_t slash = target.rfind('/');
    const bool begins_anew = absl::StartsWith(next, "/") || slash == std::string::npos;
    target = begins_anew ? next : absl::StrCat(target.substr(0, slash + 1), next);
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot write ", path, ": ", std::strerror(ELOOP), "; choose the path of a file"));
}

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
  ASSIGN_OR_RETURN(target_, FollowLinks(path_));
  struct stat info;
  if (stat(path_.c_str(), &info) == 0) {
    if (!S_ISREG(info.st_mode)) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot write ", path_, ": it is ",
                       S_ISDIR(info.st_mode) ? "a folder" : "not a regular file",
                       "; choose the path of a file"));
    }
    if (access(target_.c_str(), W_OK) != 0) return WriteError(path_, errno);
    mode_ = info.st_mode & 0777;
  }

  RemoveLeftovers(Folder(target_));
  // The temporary file is in the same folder, since rename() works within one file system only.
  file_ = OpenTemporary(target_, &temporary_);
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
  // Closed last, since it then is no longer locked, and whoever looks for leftovers would take it.
  if (rename(temporary_.c_str(), target_.c_str()) != 0) return WriteError(path_, errno);
  temporary_.clear();
  close(file_);
  file_ = -1;

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
