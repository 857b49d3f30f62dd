// The JSON files that runs and experiments write.
#ifndef CMERC_REPORT_JSON_FILE_H_
#define CMERC_REPORT_JSON_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace cmerc {

// `remedy`, here and below, ends every message: what to do.

// The contents of a file. InvalidArgument, NotFound, PermissionDenied: it is no file that can be
// read.
absl::StatusOr<std::string> ReadReportFile(const std::string& path, absl::string_view remedy);

// InvalidArgument: "place: problem; remedy".
absl::Status Malformed(const std::string& place, absl::string_view problem,
                       absl::string_view remedy);

// Parses a JSON object. `text` is line `line` of the file, or the whole file where that is 0.
// Fields that this version does not know are skipped. InvalidArgument: it is not one; the message
// has the line of a syntax error, or the field.
absl::Status ParseReport(const std::string& path, absl::string_view text, int line,
                         absl::string_view remedy, google::protobuf::Message* message);

}  // namespace cmerc

#endif  // CMERC_REPORT_JSON_FILE_H_
