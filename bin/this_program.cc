#include "bin/this_program.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace cmerc {

absl::StatusOr<std::string> ThisProgram() {
  std::string path(4096, '\0');
  const ssize_t length = readlink("/proc/self/exe", &path[0], path.size());
  if (length <= 0) {
    return absl::UnavailableError(absl::StrCat("cannot find this program in /proc/self/exe: ",
                                               std::strerror(errno), "; is /proc mounted?"));
  }
  path.resize(length);
  return path;
}

}  // namespace cmerc
