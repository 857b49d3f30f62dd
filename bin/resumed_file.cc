#include "bin/resumed_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/status.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;

// As many bytes from `begin` on as fit into `piece`, or up to the end of the file; -1, with errno,
// for an error.
ssize_t ReadAt(int file, int64_t begin, std::string* piece) {
  ssize_t count = -1;
  do {
    count = pread(file, &(*piece)[0], piece->size(), begin);
  } while (count < 0 && errno == EINTR);
  return count;
}

}  // namespace

absl::Status ResumedFile::Error(absl::string_view what, int error) const {
  return absl::Status(
      absl::ErrnoToStatusCode(error),
      absl::StrCat("--output=", path_, ": cannot be ", what, ": ", std::strerror(error)));
}

absl::StatusOr<std::unique_ptr<ResumedFile>> ResumedFile::Open(const std::string& path,
                                                               int64_t remembered) {
  std::unique_ptr<ResumedFile> file(new ResumedFile(path));
  file->file_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file->file_ < 0) return file->Error("opened", errno);
  // A file system without locks has none to say that somebody else writes.
  if (flock(file->file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return absl::FailedPreconditionError(
        absl::StrCat("--output=", path,
                     ": another process is writing it; wait for its end, or choose another name"));
  }
  RETURN_IF_ERROR(file->Count(remembered));
  return file;
}

ResumedFile::~ResumedFile() {
  if (file_ >= 0) close(file_);
}

absl::Status ResumedFile::Count(int64_t remembered) {
  std::string piece(kPieceBytes, '\0');
  for (int64_t position = 0;;) {
    const ssize_t count = ReadAt(file_, position, &piece);
    if (count < 0) return Error("read", errno);
    if (count == 0) return absl::OkStatus();
    const absl::string_view bytes(piece.data(), static_cast<size_t>(count));
    for (size_t end = bytes.find('\n'); end != absl::string_view::npos;
         end = bytes.find('\n', end + 1)) {
      begins_.push_back(size_);
      if (static_cast<int64_t>(begins_.size()) >= 2 * remembered) {
        begins_.erase(begins_.begin(), begins_.end() - remembered);
      }
      ++lines_;
      size_ = position + static_cast<int64_t>(end) + 1;
    }
    position += count;
  }
}

absl::StatusOr<std::vector<std::string>> ResumedFile::LinesFrom(int64_t first) const {
  if (first == lines_) return std::vector<std::string>();
  const int64_t begin = begins_[begins_.size() - static_cast<size_t>(lines_ - first)];
  std::string text(static_cast<size_t>(size_ - begin), '\0');
  for (size_t done = 0; done < text.size();) {
    std::string piece(text.size() - done, '\0');
    const ssize_t count = ReadAt(file_, begin + static_cast<int64_t>(done), &piece);
    if (count <= 0) return Error("read", count < 0 ? errno : EIO);
    text.replace(done, static_cast<size_t>(count), piece, 0, static_cast<size_t>(count));
    done += static_cast<size_t>(count);
  }
  text.pop_back();  // the last end
  return absl::StrSplit(text, '\n').operator std::vector<std::string>();
}

absl::Status ResumedFile::Append(absl::string_view text) {
  if (!is_cut_ && (ftruncate(file_, size_) != 0 || lseek(file_, size_, SEEK_SET) < 0)) {
    return Error("written", errno);
  }
  is_cut_ = true;
  const int error = WriteAll(file_, text);
  return error == 0 ? absl::OkStatus() : Error("written", error);
}

absl::Status ResumedFile::Sync() {
  // Where nothing was added, half a line is cut off here.
  RETURN_IF_ERROR(Append(""));
  return fsync(file_) == 0 ? absl::OkStatus() : Error("written", errno);
}

}  // namespace cmerc
