#include "bytes/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/status.h"

namespace cmerc {

absl::StatusOr<FileReader> FileReader::Open(const std::string& path) {
  // O_NONBLOCK: a named pipe must not make us wait.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    const std::string message = absl::StrCat(path, ": cannot be opened: ", std::strerror(errno));
    if (errno == ENOENT) return absl::NotFoundError(message);
    return absl::InvalidArgumentError(message);
  }
  FileReader reader(path, file);
  struct stat info {};
  if (fstat(file, &info) != 0) return reader.Error(std::strerror(errno));
  reader.mode_ = info.st_mode;
  reader.size_ = static_cast<size_t>(info.st_size);
  return reader;
}

FileReader::~FileReader() {
  if (file_ >= 0) close(file_);
}

absl::Status FileReader::ReadAll(char* to) const {
  for (size_t done = 0; done < size_;) {
    const ssize_t count = read(file_, to + done, size_ - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Error(absl::StrCat("cannot be read: ", std::strerror(errno)));
    if (count == 0) return Error("has become shorter while it was read");
    done += static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

absl::Status FileReader::Error(absl::string_view problem) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ": ", problem));
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  ASSIGN_OR_RETURN(const FileReader file, FileReader::Open(path));
  if (S_ISDIR(file.mode())) return file.Error("is a folder, want a file");
  if (!S_ISREG(file.mode())) return file.Error("is a pipe or a device, want a file");
  std::string bytes;
  try {
    bytes.resize(file.size());
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": there is no memory for its ", file.size(), " bytes"));
  }
  RETURN_IF_ERROR(file.ReadAll(bytes.data()));
  return bytes;
}

}  // namespace cmerc
