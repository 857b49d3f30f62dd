// Reports as files for programs.
#ifndef CMERC_METRICS_JSON_H_
#define CMERC_METRICS_JSON_H_

#include <string>

#include "google/protobuf/message.h"

namespace cmerc {

// `message` as JSON. Field names are those of the .proto, unset numbers and strings have their
// defaults, unset messages are left out, and maps are sorted: equal messages give equal bytes. With
// `pretty` every field has a line and the text ends with a newline; otherwise it is one line
// without a newline. `message` must hold no google.protobuf.Any of a type that is not linked in:
// that aborts.
std::string ToJson(const google::protobuf::Message& message, bool pretty);

}  // namespace cmerc

#endif  // CMERC_METRICS_JSON_H_
