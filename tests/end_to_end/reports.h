// A run, and what it has written.
#ifndef CMERC_TESTS_END_TO_END_REPORTS_H_
#define CMERC_TESTS_END_TO_END_REPORTS_H_

#include <string>
#include <vector>

#include "metrics/report.pb.h"

namespace cmerc {

RunSummary ReadSummary(const std::string& run);                // RUN/summary.json
std::vector<EpochReport> ReadMetrics(const std::string& run);  // RUN/metrics.jsonl
EvaluationReport ReadEvaluation(const std::string& path);

// A new folder with tiny.textproto and `run`, trained on it for three epochs without a warning.
std::string NewFolderWithRun();

}  // namespace cmerc

#endif  // CMERC_TESTS_END_TO_END_REPORTS_H_
