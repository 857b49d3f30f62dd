// The bytes of a file.
#ifndef CMERC_BYTES_WHOLE_FILE_H_
#define CMERC_BYTES_WHOLE_FILE_H_

#include <string>

#include "absl/status/statusor.h"

namespace cmerc {

// Returns all bytes of a regular file. The message of an error begins with `path`. NotFound: there
// is no such file. InvalidArgument: it cannot be opened or read, or is a folder, a pipe or a
// device. ResourceExhausted: it does not fit into the memory.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path);

}  // namespace cmerc

#endif  // CMERC_BYTES_WHOLE_FILE_H_
