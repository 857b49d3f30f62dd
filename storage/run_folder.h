// The files of a run as a whole: what stands in its folder before, between and after training.
#ifndef CMERC_STORAGE_RUN_FOLDER_H_
#define CMERC_STORAGE_RUN_FOLDER_H_

#include <string>

#include "absl/status/status.h"
#include "config/run.pb.h"

namespace cmerc {

// Of a run in `output`: the folder of the model without calibration.
std::string UncalibratedFolder(const std::string& output);

// Of a stage of training that writes into `folder`: where it keeps what it needs to go on
// (training/resume.h) while the run is not finished.
std::string ResumeFile(const std::string& folder);

// Whether `output` holds a run that was interrupted and can be gone on with.
bool CanResume(const std::string& output);

// Makes `output`, a folder that exists, the folder of a run: no file of an earlier one stays, and
// an interrupted run, too, says what it was.
absl::Status BeginRun(const RunConfig& config, const std::string& output);

// Makes `output` the folder of the interrupted run that it holds: removes half-written files that a
// killed process left.
absl::Status ContinueRun(const std::string& output);

// The run is finished, or another takes its place: removes what is needed to go on with it.
absl::Status FinishRun(const std::string& output);

// Makes a folder that may be there already.
absl::Status MakeFolder(const std::string& path);

}  // namespace cmerc

#endif  // CMERC_STORAGE_RUN_FOLDER_H_
