// The manual page of the `cmerc` command.
#ifndef CMERC_PACKAGES_MAN_PAGE_H_
#define CMERC_PACKAGES_MAN_PAGE_H_

#include <string>
#include <vector>

#include "bin/command_line.h"

namespace cmerc {

// cmerc(1) as source for man(1): every command with its purpose, example and flags, and where the
// files of a package are. It holds no date.
std::string ManPage(const std::vector<CommandSpec>& commands, const std::string& version);

}  // namespace cmerc

#endif  // CMERC_PACKAGES_MAN_PAGE_H_
