// Where the program that runs is.
#ifndef CMERC_BIN_THIS_PROGRAM_H_
#define CMERC_BIN_THIS_PROGRAM_H_

#include <string>

#include "absl/status/statusor.h"

namespace cmerc {

// The path of the program that runs, with links followed. Unavailable: there is no /proc.
absl::StatusOr<std::string> ThisProgram();

}  // namespace cmerc

#endif  // CMERC_BIN_THIS_PROGRAM_H_
