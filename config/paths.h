// The fields of a config that name files: those with (cmerc.is_path), plugins' options included.
#ifndef CMERC_CONFIG_PATHS_H_
#define CMERC_CONFIG_PATHS_H_

#include <string>
#include <vector>

#include "config/run.pb.h"
#include "core/problems.h"
#include "google/protobuf/message.h"

namespace cmerc {

// Every path that `config` names, in the order of the fields.
std::vector<std::string> PathsIn(const RunConfig& config);

namespace config {

// Puts the user's home folder in place of "~/" at the front of every path in `message`, and adds to
// `problems` where that cannot be done, with the field.
void ExpandHomes(google::protobuf::Message* message, Problems* problems);

}  // namespace config
}  // namespace cmerc

#endif  // CMERC_CONFIG_PATHS_H_
