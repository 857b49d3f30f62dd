// A run as a folder, made by hand.
#ifndef CMERC_TESTS_REPORT_SAMPLE_RUN_H_
#define CMERC_TESTS_REPORT_SAMPLE_RUN_H_

#include <string>

#include "metrics/report.pb.h"

namespace cmerc {

// Two classes, "joy" and "fear & <loathing>", two views, every report that a summary can hold, and
// the uncalibrated model. Nothing that Remarks() would remark on.
RunSummary SampleSummary();

// A new folder with all files of a run of three epochs and SampleSummary(), and a curriculum that
// does not use one of three conversations. Its path ends in `name`.
std::string WriteSampleRun(const std::string& name);

void WriteText(const std::string& path, const std::string& text);
std::string ReadText(const std::string& path);

}  // namespace cmerc

#endif  // CMERC_TESTS_REPORT_SAMPLE_RUN_H_
