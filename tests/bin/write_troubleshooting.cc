// Writes docs/troubleshooting.md anew: bazel run //tests/bin:troubleshooting
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "tests/bin/troubleshooting.h"

int main() {
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  if (workspace == nullptr) {
    std::cerr << "start it with `bazel run //tests/bin:troubleshooting`\n";
    return 2;
  }
  const std::string path = std::string(workspace) + "/docs/troubleshooting.md";
  std::ofstream page(path, std::ios::binary);
  page << cmerc::TroubleshootingPage(cmerc::BadInputTopics()) << std::flush;
  if (!page) {
    std::cerr << path << " cannot be written\n";
    return 1;
  }
  std::cout << "written: " << path << "\n";
  return 0;
}
