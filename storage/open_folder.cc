#include "storage/open_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace cmerc {

absl::StatusOr<OpenFolder> OpenFolder::Open(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file >= 0) return OpenFolder(path, file);
  return absl::UnavailableError(
      absl::StrCat("cannot open the folder ", path, ": ", std::strerror(errno)));
}

OpenFolder::OpenFolder(OpenFolder&& other) noexcept
    : path_(std::move(other.path_)), file_(std::exchange(other.file_, -1)) {}

OpenFolder& OpenFolder::operator=(OpenFolder&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  return *this;
}

OpenFolder::~OpenFolder() {
  if (file_ >= 0) close(file_);
}

absl::Status OpenFolder::CheckThere() const {
  struct stat opened {};
  struct stat there {};
  if (fstat(file_, &opened) == 0 && stat(path_.c_str(), &there) == 0 &&
      opened.st_ino == there.st_ino && opened.st_dev == there.st_dev) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(
      path_,
      " was moved or deleted since the run began: nothing more can be saved there; what was "
      "saved before is wherever it is now, and can be gone on with from there (--resume)"));
}

}  // namespace cmerc
