// What `cmerc help` prints.
#ifndef CMERC_BIN_HELP_H_
#define CMERC_BIN_HELP_H_

#include <string>

#include "bin/command_line.h"

namespace cmerc {

// Every command with its purpose.
std::string Help();

// The purpose, an example and the flags of one command.
std::string HelpOn(const CommandSpec& command);

}  // namespace cmerc

#endif  // CMERC_BIN_HELP_H_
