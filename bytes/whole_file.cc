#include "bytes/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace cmerc {

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  // O_NONBLOCK: a named pipe must not make us wait.
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    const std::string message = absl::StrCat(path, ": cannot be opened: ", std::strerror(errno));
    if (errno == ENOENT) return absl::NotFoundError(message);
    return absl::InvalidArgumentError(message);
  }
  const absl::Cleanup close_file = [file] { close(file); };
  const auto error = [&](absl::string_view problem) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
  };
  struct stat info {};
  if (fstat(file, &info) != 0) return error(std::strerror(errno));
  if (S_ISDIR(info.st_mode)) return error("is a folder, want a file");
  if (!S_ISREG(info.st_mode)) return error("is a pipe or a device, want a file");
  std::string bytes;
  const auto size = static_cast<size_t>(info.st_size);
  try {
    bytes.resize(size);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": there is no memory for its ", size, " bytes"));
  }
  for (size_t done = 0; done < size;) {
    const ssize_t count = read(file, &bytes[done], size - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return error(absl::StrCat("cannot be read: ", std::strerror(errno)));
    if (count == 0) return error("has become shorter while it was read");
    done += static_cast<size_t>(count);
  }
  return bytes;
}

}  // namespace cmerc
