#include "core/home.h"

#include <cstdlib>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cmerc {

absl::StatusOr<std::string> ExpandHome(absl::string_view path) {
  if (path != "~" && !absl::StartsWith(path, "~/")) return std::string(path);
  const char* const home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    return absl::InvalidArgumentError(
        absl::StrCat(path,
                     ": the environment variable HOME, which ~ stands for, is not set; write "
                     "the whole path, or ./~ for a folder of that name"));
  }
  return absl::StrCat(home, path.substr(1));
}

}  // namespace cmerc
