// Reports as files for programs.
#ifndef CMERC_METRICS_JSON_H_
#define CMERC_METRICS_JSON_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace cmerc {

// Field names as in the .proto, unset numbers and strings with their defaults, unset messages left
// out, maps sorted: equal messages give equal bytes. `pretty`: one field a line, and a newline at
// the end; otherwise one line without it. `message` holds no google.protobuf.Any of a type that is
// not linked in: that aborts.
std::string ToJson(const google::protobuf::Message& message, bool pretty);

// Replaces the file as a whole: a reader, or a power cut, sees the old contents or the new. Follows
// a symbolic link. Errors name the path, the system's reason and what to do: NotFound (no such
// folder), PermissionDenied, ResourceExhausted (full disk), FailedPrecondition (a folder or a
// device), or what the system's error maps to. After an error the old file is as it was.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view contents);

}  // namespace cmerc

#endif  // CMERC_METRICS_JSON_H_
