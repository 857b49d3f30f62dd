// The Python of docs/pandas.md, on an experiment as the page has it but for its size.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

// The Python blocks of the page, one after the other.
std::string ScriptOf(const std::string& page) {
  const std::string begin = "\n```python\n";
  std::string script;
  for (size_t at = page.find(begin); at != std::string::npos; at = page.find(begin, at)) {
    at += begin.size();
    absl::StrAppend(&script, page.substr(at, page.find("```\n", at) - at), "\n");
  }
  return script;
}

// What the page's variables must hold, by the files that they were not read from.
constexpr char kChecks[] = R"py(
with open("runs/experiment/results.json", encoding="utf-8") as file:
    rows = json.load(file)["rows"]
assert len(rows) == 4, len(rows)
for row in rows:
    dataset, variant = row["dataset"] or "base", row["variant"]
    line = results[(results.variant == variant) & (results.measure == "weighted_f1")]
    assert line["mean"].tolist() == [row["weighted_f1"]["mean"]], line
    assert line["dataset"].tolist() == [dataset]
    assert line["calibrated"].tolist() == [row["calibrated"]], line
    assert line["base_variant"].tolist() == [row["base_variant"]], line
    assert abs(by_model.mean()[dataset, variant] - row["weighted_f1"]["mean"]) < 1e-12
    assert abs(by_model.std()[dataset, variant] - row["weighted_f1"]["standard_deviation"]) < 1e-12
    for one in row["classes"]:
        assert abs(scores.loc[(dataset, variant), "f1_" + one["name"]] - one["f1"]["mean"]) < 1e-12
assert len(runs) == 4 * 2 * 3, len(runs)
assert results.dataset.notna().all() and results.variant.notna().all()
assert set(results.calibrated) == {True, False} and results.calibrated.dtype == bool
assert f1.groupby(["dataset", "base_variant"]).size().tolist() == [2, 2]
assert gains.shape == (2, 3), gains
compared = [row for row in rows if "comparison" in row]
assert list(tests.columns) == sorted(("base", row["variant"]) for row in compared), tests
for row in compared:
    column = tests["base", row["variant"]]
    assert column["p_over_seeds"] == row["comparison"]["p_value"]
    for one in row["comparison"]["measures"]:
        holm = one["over_conversations"]["p_value_holm"]
        assert column["p_over_conversations_holm_of_" + one["measure"]] == holm
assert significant.notna().all().all() and len(significant) == 1 + 2 + 5
assert len(epochs) == 3 and valid["calibration.ece"].between(0, 1).all()
assert confusion.values.sum() == summary["test"]["utterances"]
for view in summary["test"]["views"]:
    assert abs(shares[view["view"]] - view["share_surer_without"]) < 1e-12, shares
print("all is as it should be")
)py";

TEST(PandasTest, TheCodeOfThePage) {
  if (std::system("python3 -c 'import pandas' > /dev/null 2>&1") != 0) {
    GTEST_SKIP() << "python3 has no pandas (tools/setup.sh --test), so the code of docs/pandas.md "
                    "is not run";
  }
  const std::string folder = NewFolder();
  const std::string variant =
      "set { backbone { [type.googleapis.com/cmerc.M3NetOptions] { graph_width: ";
  WriteFile(folder + "/plan.textproto",
            absl::StrCat("base { ", TinyConfig(), "}\nvariants { name: 'gru' ", variant,
                         "8 } } } }\nvariants { name: 'None' ", variant,
                         "12 } } } }\nseeds: 1 seeds: 2\n"));
  const Outcome ran = RunCmerc({"experiment", "--config=plan.textproto", "--output=runs/experiment",
                                "--set=training { epochs: 3 compare_uncalibrated: true }"},
                               folder);
  ASSERT_EQ(ran.exit_code, 0) << ran.err << ran.out;
  const std::string script = ScriptOf(ReadFile("docs/pandas.md"));
  ASSERT_THAT(script, HasSubstr("pd.read_csv"));
  WriteFile(folder + "/page.py", script + kChecks);
  const int status = std::system(
      absl::StrCat("cd ", folder, " && python3 -W error::FutureWarning page.py > out 2>&1")
          .c_str());
  EXPECT_EQ(status, 0);
  EXPECT_THAT(ReadFile(folder + "/out"), HasSubstr("all is as it should be"));
}

}  // namespace
}  // namespace cmerc
