// A folder that long work writes into, and that may not be moved or deleted meanwhile.
#ifndef CMERC_STORAGE_OPEN_FOLDER_H_
#define CMERC_STORAGE_OPEN_FOLDER_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cmerc {

class OpenFolder {
 public:
  // Unavailable: there is no such folder, or it cannot be opened.
  static absl::StatusOr<OpenFolder> Open(const std::string& path);

  OpenFolder(OpenFolder&& other) noexcept;
  OpenFolder& operator=(OpenFolder&& other) noexcept;
  ~OpenFolder();

  // Unavailable: at the path there is no folder any more, or another one. What is written to it
  // from then on ends up elsewhere than the user was told.
  absl::Status CheckThere() const;

 private:
  OpenFolder(std::string path, int file) : path_(std::move(path)), file_(file) {}

  std::string path_;
  int file_;  // keeps the number of the folder from being given to another; -1: moved from
};

}  // namespace cmerc

#endif  // CMERC_STORAGE_OPEN_FOLDER_H_
