// `cmerc report` of runs that `cmerc train` has just written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"
#include "tests/end_to_end/reports.h"
#include "tests/report/xml.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

constexpr char kCalibrated[] =
    "--set=training { epochs: 3 compare_uncalibrated: true } curriculum { scheduler { "
    "[type.googleapis.com/cmerc.BabyStepOptions] { epoch_ratio: 0.5 } } }";

void Train(const std::string& folder, const std::vector<std::string>& more) {
  std::vector<std::string> args = {"train", "--config=tiny.textproto"};
  args.insert(args.end(), more.begin(), more.end());
  const Outcome outcome = RunCmerc(args, folder);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
}

XmlElement Report(const std::string& folder, const std::vector<std::string>& runs) {
  std::vector<std::string> args = {"report", "--output=report.html", "--overwrite"};
  args.insert(args.end(), runs.begin(), runs.end());
  const Outcome outcome = RunCmerc(args, folder);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "written to report.html\n");
  EXPECT_EQ(outcome.err, "");
  const absl::StatusOr<XmlElement> page = ParseXml(ReadFile(folder + "/report.html"));
  EXPECT_TRUE(page.ok()) << page.status();
  return page.ok() ? *page : XmlElement();
}

TEST(ReportTest, ShowsWhatTrainingWrote) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  Train(folder, {"--output=run", kCalibrated});
  const XmlElement page = Report(folder, {"run"});
  const RunSummary summary = ReadSummary(folder + "/run");
  EXPECT_THAT(page.text, HasSubstr(summary.protocol()));
  EXPECT_THAT(page.text, HasSubstr("cmerc train --config=run/config.textproto"));
  EXPECT_THAT(page.text, HasSubstr(absl::StrFormat("%.1f %%", 100 * summary.test().weighted_f1())));
  EXPECT_THAT(page.text, HasSubstr("Difficulties of the 4 training conversations from the "
                                   "uncalibrated model."));
  EXPECT_THAT(page.text, HasSubstr("Slowest steps"));
  // Four conversations join, and each has a length.
  EXPECT_EQ(FindAll(page, "circle", "dot s0").size(), 8u);
  // Two confusion matrices of three classes.
  EXPECT_EQ(FindAll(page, "rect", "cell").size(), 18u);

  const std::string first = ReadFile(folder + "/report.html");
  Report(folder, {"run"});
  EXPECT_EQ(ReadFile(folder + "/report.html"), first);
}

TEST(ReportTest, RunsSideBySideAndOneThatHasNotFinished) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  Train(folder, {"--output=one"});
  Train(folder, {"--output=official", "--set=data { protocol: OFFICIAL }"});
  Train(folder, {"--output=unfinished"});
  std::filesystem::remove(folder + "/unfinished/summary.json");
  const XmlElement page = Report(folder, {"one", "official", "unfinished"});
  EXPECT_THAT(page.text, HasSubstr("The protocols differ"));
  EXPECT_THAT(page.text, HasSubstr("so the test scores are optimistic"));
  EXPECT_THAT(page.text, HasSubstr("The run has not finished"));
  EXPECT_EQ(FindAll(page, "section").size(), 4u);
}

}  // namespace
}  // namespace cmerc
