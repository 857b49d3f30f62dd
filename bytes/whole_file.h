// Files read whole: the bytes of one, or into memory of the caller.
#ifndef CMERC_BYTES_WHOLE_FILE_H_
#define CMERC_BYTES_WHOLE_FILE_H_

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

// A file or folder that is open for reading. The message of an error begins with its path.
class FileReader {
 public:
  // Does not wait where `path` is a named pipe. NotFound: there is no such file. InvalidArgument:
  // it cannot be opened.
  static absl::StatusOr<FileReader> Open(const std::string& path);

  FileReader(FileReader&& other) noexcept
      : path_(std::move(other.path_)),
        file_(std::exchange(other.file_, -1)),
        mode_(other.mode_),
        size_(other.size_) {}
  FileReader& operator=(FileReader&&) = delete;
  ~FileReader();

  mode_t mode() const { return mode_; }  // as of stat()
  size_t size() const { return size_; }  // in bytes, when it was opened

  // Reads all size() bytes into memory of the caller. InvalidArgument: they cannot be read, or the
  // file has become shorter.
  absl::Status ReadAll(char* to) const;

  // An InvalidArgument error that names the file.
  absl::Status Error(absl::string_view problem) const;

 private:
  FileReader(std::string path, int file) : path_(std::move(path)), file_(file) {}

  std::string path_;
  int file_;
  mode_t mode_ = 0;
  size_t size_ = 0;
};

// Returns all bytes of a regular file. The message of an error begins with `path`. NotFound: there
// is no such file. InvalidArgument: it cannot be opened or read, or is a folder, a pipe or a
// device. ResourceExhausted: it does not fit into the memory.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path);

}  // namespace cmerc

#endif  // CMERC_BYTES_WHOLE_FILE_H_
