// Reports as files for programs.
#ifndef CMERC_METRICS_JSON_H_
#define CMERC_METRICS_JSON_H_

#include <string>

#include "google/protobuf/message.h"

namespace cmerc {

// Field names as in the .proto, unset numbers and strings with their defaults, unset messages left
// out, maps sorted: equal messages give equal bytes. `pretty`: one field a line, and a newline at
// the end; otherwise one line without it. `message` holds no google.protobuf.Any of a type that is
// not linked in: that aborts.
std::string ToJson(const google::protobuf::Message& message, bool pretty);

}  // namespace cmerc

#endif  // CMERC_METRICS_JSON_H_
