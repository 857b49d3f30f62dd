// Where the configs are that come with cmerc.
#ifndef CMERC_BIN_CONFIGS_FOLDER_H_
#define CMERC_BIN_CONFIGS_FOLDER_H_

#include <string>

namespace cmerc {

// The folder of examples/, experiments/ and layouts/, as a user names it: "config", where it is in
// a clone of the sources; or PREFIX/share/cmerc if this program is in PREFIX/lib/cmerc, where
// packages put it, and there are examples in that folder.
std::string ConfigsFolder();

// The same for the program with this path, in which there are no links.
std::string ConfigsFolder(const std::string& program);

}  // namespace cmerc

#endif  // CMERC_BIN_CONFIGS_FOLDER_H_
