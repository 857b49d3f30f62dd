// Files for readers and writers that take a path.
#ifndef CMERC_TESTS_FUZZ_MEMORY_FILE_H_
#define CMERC_TESTS_FUZZ_MEMORY_FILE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace cmerc::fuzz {

// A file in memory.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  // Replaces the file.
  void Write(absl::string_view bytes);
  // A path of this process alone.
  const std::string& path() const { return path_; }

 private:
  const int file_;
  const std::string path_;
};

// The path of a file in a folder of its own, where a writer may put a temporary file beside it; the
// folder is removed when the program ends.
std::string TemporaryPath(absl::string_view name);

}  // namespace cmerc::fuzz

#endif  // CMERC_TESTS_FUZZ_MEMORY_FILE_H_
