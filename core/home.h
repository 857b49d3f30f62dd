// Paths as people write them.
#ifndef CMERC_CORE_HOME_H_
#define CMERC_CORE_HOME_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

// Returns `path` with the user's home folder in place of a "~" that is all of it or has "/" behind
// it, as a shell does where it sees the "~" (in --output=~/runs it does not); any other path as it
// is. InvalidArgument: there is such a "~", and the environment variable HOME is not set.
absl::StatusOr<std::string> ExpandHome(absl::string_view path);

}  // namespace cmerc

#endif  // CMERC_CORE_HOME_H_
