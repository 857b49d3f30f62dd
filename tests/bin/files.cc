#include "tests/bin/files.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace cmerc {

std::string NewFolder() {
  std::string folder = testing::TempDir() + "/cmerc-XXXXXX";
  EXPECT_NE(mkdtemp(&folder[0]), nullptr) << folder;
  return folder;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void WriteFile(const std::string& path, const std::string& contents) {
  std::ofstream out(path, std::ios::binary);
  out << contents << std::flush;
  EXPECT_TRUE(out.good()) << path;
}

std::map<std::string, std::string> Files(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string path = std::filesystem::relative(entry.path(), folder);
    files[path] = entry.is_regular_file() ? ReadFile(entry.path()) : "";
  }
  return files;
}

}  // namespace cmerc
