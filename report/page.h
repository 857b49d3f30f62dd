// Runs of `cmerc train` as one HTML page.
#ifndef CMERC_REPORT_PAGE_H_
#define CMERC_REPORT_PAGE_H_

#include <string>
#include <vector>

#include "report/run.h"

namespace cmerc {

// A page that needs nothing else: no script, no network, pictures within. With several runs, a
// comparison first. `runs` is not empty. Equal runs give equal bytes. Well-formed XML too.
std::string FormatPage(const std::vector<TrainingRun>& runs);

}  // namespace cmerc

#endif  // CMERC_REPORT_PAGE_H_
