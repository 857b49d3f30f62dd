// What `cmerc help` prints.
#ifndef CMERC_BIN_HELP_H_
#define CMERC_BIN_HELP_H_

#include <string>

#include "bin/command_line.h"

namespace cmerc {

// The text of `cmerc help`: every command with its purpose.
std::string Help();

// The text of `cmerc help COMMAND`: its purpose, an example and its flags.
std::string HelpOn(const CommandSpec& command);

}  // namespace cmerc

#endif  // CMERC_BIN_HELP_H_
