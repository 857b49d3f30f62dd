// Bash's completion of the `cmerc` command line.
#ifndef CMERC_PACKAGES_COMPLETION_H_
#define CMERC_PACKAGES_COMPLETION_H_

#include <string>
#include <vector>

#include "bin/command_line.h"
#include "packages/topics.h"

namespace cmerc {

// A script for bash, to be read with `source`. It completes commands, the flags of a command, names
// of files and folders where a flag or a word is one, and what `help` and `plugins` explain.
std::string BashCompletion(const std::vector<CommandSpec>& commands, const Topics& topics);

}  // namespace cmerc

#endif  // CMERC_PACKAGES_COMPLETION_H_
