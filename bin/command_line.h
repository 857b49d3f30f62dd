// What `cmerc` can be told on its command line: the commands and their flags. Free of LibTorch, so
// that the program which users start can read and explain it before anything large is loaded.
#ifndef CMERC_BIN_COMMAND_LINE_H_
#define CMERC_BIN_COMMAND_LINE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bin/flags.h"

namespace cmerc {

struct CommandSpec {
  std::string name;
  std::string purpose;  // one line
  std::string example;  // a line, or more of them with two spaces in front
  std::vector<FlagSpec> flags;
  size_t max_words;
};

// Every command, in the order in which `cmerc help` lists them.
const std::vector<CommandSpec>& CommandSpecs();

// The command of this name. InvalidArgument: there is none; the message names the nearest one and
// all.
absl::StatusOr<const CommandSpec*> FindCommand(const std::string& name);

struct CommandLine {
  std::string command;  // the name of a CommandSpec, or "--version"
  Flags flags;
};

// Reads a command line; `args` are without the name of the program. No arguments and "--help" mean
// `help`, and COMMAND with "--help" means `help COMMAND`. InvalidArgument: an unknown command, or
// flags that Flags::Parse() refuses.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& args);

}  // namespace cmerc

#endif  // CMERC_BIN_COMMAND_LINE_H_
