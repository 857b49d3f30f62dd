#include "tests/fuzz/memory_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "tests/fuzz/law.h"

namespace cmerc::fuzz {
namespace {

class Folder {
 public:
  Folder() : path_((std::filesystem::temp_directory_path() / "fuzz_XXXXXX").string()) {
    Law(mkdtemp(path_.data()) != nullptr, "a folder can be made");
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

MemoryFile::MemoryFile()
    : file_(memfd_create("fuzz", MFD_CLOEXEC)), path_(absl::StrCat("/proc/self/fd/", file_)) {
  Law(file_ >= 0, "there are files in memory");
}

MemoryFile::~MemoryFile() { close(file_); }

void MemoryFile::Write(absl::string_view bytes) {
  const bool written = ftruncate(file_, 0) == 0 && pwrite(file_, bytes.data(), bytes.size(), 0) ==
                                                       static_cast<ssize_t>(bytes.size());
  Law(written, "a file in memory can be written");
}

std::string TemporaryPath(absl::string_view name) {
  static const Folder folder;
  return absl::StrCat(folder.path(), "/", name);
}

}  // namespace cmerc::fuzz
