// What a reader of a run's scores should know before trusting them.
#ifndef CMERC_REPORT_REMARKS_H_
#define CMERC_REPORT_REMARKS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "report/run.h"

namespace cmerc::report {

// One sentence each, for: a run that has not finished; scores that the test set selected; each of
// RunSummary.warnings; a class that is never predicted on the test split; a split without a class;
// a weighted F1 on valid and test more than 5 points apart; the last epoch selected; an expected
// calibration error above the uncalibrated model's by more than two standard errors of their
// difference; a mean share of utterances surer without a source of evidence above the uncalibrated
// model's.
std::vector<std::string> Remarks(const TrainingRun& run);

// Why the runs' scores can hardly be compared: another protocol, another test split.
std::vector<std::string> ComparisonRemarks(const std::vector<TrainingRun>& runs);

// InvalidArgument: the classes of two runs differ, in names or order, so that comparing their
// scores would mean nothing; the message names both runs and the first difference.
absl::Status CheckSameClasses(const std::vector<TrainingRun>& runs);

// The split whose scores are shown: test, or validation where the data set has no test split; and
// "test split" or "validation split".
const SplitReport& ReportedSplit(const RunSummary& summary);
std::string ReportedSplitName(const RunSummary& summary);

// Whether the run's epoch is selected on the test split.
bool IsOfficialProtocol(const TrainingRun& run);

// ViewReport.share_surer_without, mean over the views, of which there is at least one.
double MeanShareSurerWithout(const SplitReport& split);

}  // namespace cmerc::report

#endif  // CMERC_REPORT_REMARKS_H_
