// What `cmerc` can be told on its command line: the commands and their flags. Free of LibTorch, so
// that the program which users start can read and explain it before anything large is loaded.
#ifndef CMERC_BIN_COMMAND_LINE_H_
#define CMERC_BIN_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bin/flags.h"

namespace cmerc {

// What may stand beside the flags of a command.
enum class Words {
  kNone,
  kFiles,  // files and folders, as many as one likes
  kTopic,  // one name, or none: of a plugin or a kind of them; for `help` also of a command
};

struct CommandSpec {
  std::string name;
  std::string purpose;  // one line
  std::string example;  // a line, or more of them with two spaces in front
  std::vector<FlagSpec> flags;
  Words words = Words::kNone;
  std::vector<std::string> actions = {};  // one of which stands before all other words, if any
};

// Every command, in the order in which `cmerc help` lists them.
const std::vector<CommandSpec>& CommandSpecs();

// The command of this name. InvalidArgument: there is none; the message names the nearest one and
// all.
absl::StatusOr<const CommandSpec*> FindCommand(const std::string& name);

// The example of a command for whoever has the configs of bin/configs_folder.h in `folder`.
std::string ExampleOf(const CommandSpec& command, const std::string& folder);

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
