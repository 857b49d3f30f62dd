// What the folder of a run tells the experiment that it belongs to.
#ifndef CMERC_EXPERIMENT_RUN_FILES_H_
#define CMERC_EXPERIMENT_RUN_FILES_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiment/plan.h"
#include "metrics/report.pb.h"

namespace cmerc {

// The contents of a file as far as they can be read; "" where there is no such file.
std::string Contents(const std::string& path);

// Calls append(line) for each line of a file of predictions; there is none where there is no file.
// DataLoss: it returned false, so that the line is not what it should be; the message has file and
// line.
absl::Status ReadPredictionLines(const std::string& path,
                                 const std::function<bool(const std::string& line)>& append);

// Where a run of the experiment in `output` writes: PlannedRun::path() below OUTPUT.
std::string RunFolder(const std::string& output, const PlannedRun& run);

// The file of a run that holds its identity once it has succeeded.
std::string FinishedFile(const std::string& folder);

// The file of a run that holds its identity from its beginning on.
std::string BegunFile(const std::string& folder);

// What stands for the identity of a run where that is too long: its FNV-1a in 16 hexadecimal
// digits.
std::string DigestOf(const std::string& identity);

// What FinishedFile() is to hold of the run that has begun in `folder`, as its files tell it.
std::string TextToFinish(const std::string& folder);

// What FinishedFile() holds of a run that has succeeded: its identity, and for one that was to stop
// after how many epochs.
std::string FinishedText(const PlannedRun& run);

// Whether the run in `folder` has succeeded, as the run that `run` is now: one that is to stop has
// where it got as far or farther.
bool IsFinished(const std::string& folder, const PlannedRun& run);

// Notes that a run of a trial has failed, with the reason, for all processes that do the search.
// Errors of WriteFileAtomically().
absl::Status NoteFailure(const PlannedRun& run, const std::string& output, const std::string& why);

// Why a run of a trial has failed, so that it is not tried again; nothing where it has not, or is
// of no trial.
std::optional<std::string> WhyFailed(const PlannedRun& run, const std::string& output);

// Takes a note of a failure back: the run may be tried again.
void ForgetFailure(const PlannedRun& run, const std::string& output);

// The summary.json of a run. DataLoss: it is missing or cannot be read as a summary.
absl::StatusOr<RunSummary> ReadSummary(const std::string& folder);

// SelectionScore() on the validation split: that of the best of the first `epochs` in the
// metrics.jsonl of a run. DataLoss: it has none of these, or they cannot be read.
absl::StatusOr<double> ValidationScore(const std::string& folder, int epochs,
                                       TrainingConfig::SelectBy by);

// Why a run failed: what `cmerc train` said last in the run's train.log, or where that log is.
std::string LastWords(const std::string& folder);

// The last whole line about an epoch in the run's train.log, with single spaces; "" where there is
// none so far.
std::string LastEpoch(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_RUN_FILES_H_
