// Google Benchmark's JSON as rows of a Markdown table.
#ifndef CMERC_BENCHMARKS_REPORT_TABLE_H_
#define CMERC_BENCHMARKS_REPORT_TABLE_H_

#include <string>

#include "absl/status/statusor.h"

namespace cmerc {

// The head of the table, two lines.
std::string TableHead();

// A row for each benchmark in what `component`'s binary wrote by --benchmark_out_format=json:
// seconds, GFLOP, share of the peak, memory, items or bytes per second, and whatever else it
// counts. InvalidArgument: not such JSON, by name of the component.
absl::StatusOr<std::string> TableRows(const std::string& component, const std::string& json);

}  // namespace cmerc

#endif  // CMERC_BENCHMARKS_REPORT_TABLE_H_
