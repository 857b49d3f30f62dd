#include "bin/configs_folder.h"

#include <filesystem>
#include <system_error>

namespace cmerc {

std::string ConfigsFolder(const std::string& program) {
  const std::filesystem::path folder = std::filesystem::path(program).parent_path();
  const std::filesystem::path shared = folder.parent_path().parent_path() / "share/cmerc";
  std::error_code error;
  const bool installed = folder.filename() == "cmerc" && folder.parent_path().filename() == "lib" &&
                         std::filesystem::is_directory(shared / "examples", error);
  return installed ? shared.string() : "config";
}

std::string ConfigsFolder() {
  std::error_code error;
  return ConfigsFolder(std::filesystem::read_symlink("/proc/self/exe", error).string());
}

}  // namespace cmerc
