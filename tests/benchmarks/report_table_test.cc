#include "benchmarks/report_table.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace cmerc {
namespace {

TEST(ReportTableTest, OneRowPerBenchmark) {
  const absl::StatusOr<std::string> rows = TableRows("step", R"({
    "context": {"num_cpus": 2},
    "benchmarks": [
      {"name": "Step/Meld/real_time", "iterations": 3, "real_time": 0.6, "cpu_time": 0.5,
       "time_unit": "s", "s_per_step": 0.15, "gflop": 80.25, "peak_share": 0.6125,
       "peak_MB": 480.5},
      {"name": "Read/a|b", "iterations": 3, "real_time": 2.5e6, "cpu_time": 1, "time_unit": "ns",
       "bytes_per_second": 2.5e9, "label": "small", "zebra": 1, "apple": 2},
      {"name": "Count/10", "iterations": 1, "real_time": 4, "time_unit": "us",
       "items_per_second": 2e6},
      {"name": "Broken", "error_occurred": true, "error_message": "no such\nfile"}
    ]})");
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(*rows,
            "| step | Step/Meld | 0.15 a step | 80.25 | 61.3 % | 480.5 |  |  |\n"
            "| step | Read/a\\|b | 0.0025 |  |  |  | 2500 MB | apple 2, zebra 1, small |\n"
            "| step | Count/10 | 4e-06 |  |  |  | 2e+06 |  |\n"
            "| step | Broken | failed: no such file | | | | | |\n");
}

TEST(ReportTableTest, TheHeadHasAsManyColumnsAsARow) {
  const absl::StatusOr<std::string> rows =
      TableRows("x", R"({"benchmarks": [{"name": "A", "real_time": 1, "time_unit": "s"}]})");
  ASSERT_TRUE(rows.ok());
  const auto bars = [](const std::string& line) {
    return std::count(line.begin(), line.end(), '|');
  };
  EXPECT_EQ(bars(TableHead()), 2 * bars(*rows));
}

TEST(ReportTableTest, SaysWhichComponentWroteSomethingElse) {
  for (const char* json : {"", "{", "[]", "{\"benchmarks\": 3}", "{\"context\": {}}"}) {
    const absl::StatusOr<std::string> rows = TableRows("losses", json);
    ASSERT_FALSE(rows.ok()) << json;
    EXPECT_NE(rows.status().message().find("losses wrote no report"), absl::string_view::npos);
  }
}

}  // namespace
}  // namespace cmerc
