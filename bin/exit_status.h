// How `cmerc` ends, whichever of its programs does: 0 ok, 1 the run failed, 2 bad usage or input,
// 128 + the signal that a run was stopped by (bin/stop_signal.h).
#ifndef CMERC_BIN_EXIT_STATUS_H_
#define CMERC_BIN_EXIT_STATUS_H_

#include "absl/status/status.h"

namespace cmerc {

// Flushes standard output, says on standard error what went wrong (`status`, or that standard
// output could not be written), and returns the exit status.
int Finish(absl::Status status);

}  // namespace cmerc

#endif  // CMERC_BIN_EXIT_STATUS_H_
