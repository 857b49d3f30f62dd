// How a run is told to stop before its last epoch: by a file in its folder, which reaches it
// however it is started.
#ifndef CMERC_STORAGE_STOP_AFTER_H_
#define CMERC_STORAGE_STOP_AFTER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cmerc {

// stop_after.txt in the folder of a run.
std::string StopAfterFile(const std::string& folder);

// After how many epochs the run in `folder` is to stop; 0 where there is no such file.
// InvalidArgument: the file holds anything but a number of epochs.
absl::StatusOr<int> ReadStopAfter(const std::string& folder);

// Tells the run in `folder` to stop after so many epochs; 0: not to. Errors of
// WriteFileAtomically(); Unavailable: the file cannot be removed.
absl::Status WriteStopAfter(const std::string& folder, int epochs);

}  // namespace cmerc

#endif  // CMERC_STORAGE_STOP_AFTER_H_
