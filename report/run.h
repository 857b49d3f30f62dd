// A run of `cmerc train`, read from its folder.
#ifndef CMERC_REPORT_RUN_H_
#define CMERC_REPORT_RUN_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "metrics/report.pb.h"

namespace cmerc {

struct TrainingRun {
  std::string path;
  std::string config;               // config.textproto
  std::vector<EpochReport> epochs;  // metrics.jsonl; at least one
  // uncalibrated/metrics.jsonl; empty where there is none.
  std::vector<EpochReport> uncalibrated_epochs;
  std::vector<TimingReport> timing;            // timing.jsonl; empty where there is none
  std::optional<RunSummary> summary;           // unset: the run has not finished
  std::optional<CurriculumReport> curriculum;  // curriculum.json; unset where there is none
};

// Reads the folder `path` of a run. What is returned can be drawn: a confusion matrix is square and
// as large as its classes, counts are not negative, shares lie in [0, 1], epochs ascend from 1, in
// runs of earlier versions too, whose files count from 0. Fields
// that this version does not know are skipped. NotFound, PermissionDenied or InvalidArgument: the
// folder is no run, no epoch of it has finished yet, or a file of it is missing or malformed; the
// message has the file, the line (of a JSON syntax error) or the field, and what to do.
absl::StatusOr<TrainingRun> ReadRun(const std::string& path);

}  // namespace cmerc

#endif  // CMERC_REPORT_RUN_H_
