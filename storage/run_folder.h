// The files of a run as a whole: what stands in its folder before, between and after training.
#ifndef CMERC_STORAGE_RUN_FOLDER_H_
#define CMERC_STORAGE_RUN_FOLDER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "config/run.pb.h"

namespace cmerc {

// The folder that the model without calibration has within the folder `output` of a run.
std::string UncalibratedFolder(const std::string& output);

// Whether a run of `cmerc train`, finished or not, has written into `folder`: there are logs or a
// summary as it writes them, not merely files of such names.
bool HoldsRun(const std::string& folder);

// The file in which the experiment in the folder `output` keeps its plan.
std::string PlanFile(const std::string& output);

// Whether an experiment, finished or not, has written into `folder`. Experiments of versions before
// 0.2 are known by their results alone.
bool HoldsExperiment(const std::string& folder);

// The file in which a stage of training that writes into `folder` keeps what it needs to go on
// (training/resume.h) while the run is not finished.
std::string ResumeFile(const std::string& folder);

// Whether `output` holds a run that was interrupted and can be resumed.
bool CanResume(const std::string& output);

// The files in `output`, and in the folder of the uncalibrated model there, that a new run would
// remove or write over.
std::vector<std::string> RunFiles(const std::string& output);

// Makes `output`, a folder that exists, the folder of a new run: removes the files of an earlier
// one and writes config.textproto, so that an interrupted run, too, says what it was. Unavailable:
// a file cannot be removed. Errors of WriteFileAtomically(): the config cannot be written.
absl::Status BeginRun(const RunConfig& config, const std::string& output);

// Prepares `output` to resume the interrupted run that it holds: removes half-written files that a
// killed process left. Unavailable: one cannot be removed.
absl::Status ContinueRun(const std::string& output);

// Removes what is needed to resume the run: it is finished, or another takes its place.
// Unavailable: a file cannot be removed.
absl::Status FinishRun(const std::string& output);

// Makes a folder, which may be there already. Unavailable: it cannot be created.
absl::Status MakeFolder(const std::string& path);

}  // namespace cmerc

#endif  // CMERC_STORAGE_RUN_FOLDER_H_
