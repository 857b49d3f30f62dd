#include "tests/storage/pickle/fixtures.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace cmerc::pickle {

std::vector<std::string> FixturePaths() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator("tests/storage/pickle/data")) {
    if (entry.path().extension() == ".pkl") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace cmerc::pickle
