#include "report/page.h"

#include "absl/strings/str_cat.h"
#include "report/markup.h"
#include "report/remarks.h"
#include "report/sections.h"
#include "report/style.h"

namespace cmerc {
namespace report {
namespace {

std::string Anchor(size_t i) { return absl::StrCat("run-", i + 1); }

std::string Title(const std::vector<TrainingRun>& runs) {
  return runs.size() == 1 ? absl::StrCat("Report of ", runs[0].path)
                          : absl::StrCat("Report of ", runs.size(), " runs");
}

std::string FormatRun(const TrainingRun& run, const std::string& anchor,
                      const std::string& heading) {
  Markup html;
  html.Open("section", {{"id", anchor}}).Element("h2", heading);
  html.Append(FormatRemarks(Remarks(run))).Append(FormatIdentity(run));
  if (run.summary.has_value()) html.Append(FormatScores(*run.summary));
  html.Append(FormatLearning(run));
  if (run.summary.has_value()) {
    html.Append(FormatReliability(*run.summary)).Append(FormatActing(*run.summary));
    html.Append(FormatViews(*run.summary));
  }
  html.Append(FormatCurriculum(run));
  if (run.summary.has_value()) html.Append(FormatClassBalance(*run.summary));
  return html.Append(FormatTiming(run)).Finish();
}

// Links to the runs.
std::string FormatNavigation(const std::vector<TrainingRun>& runs) {
  if (runs.size() == 1) return "";
  Markup html;
  html.Open("nav").Open("ol");
  for (size_t i = 0; i < runs.size(); ++i) {
    html.Open("li").Element("a", {{"href", absl::StrCat("#", Anchor(i))}}, runs[i].path).Close();
  }
  return html.Finish();
}

std::string FormatRuns(const std::vector<TrainingRun>& runs) {
  Markup html;
  OpenPage(Title(runs), &html, FormatNavigation(runs));
  if (runs.size() > 1) html.Append(FormatComparison(runs));
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string heading =
        runs.size() > 1 ? absl::StrCat("Run ", i + 1, ": ", runs[i].path) : "The run";
    html.Append(FormatRun(runs[i], Anchor(i), heading));
  }
  return absl::StrCat("<!DOCTYPE html>\n", html.Finish());
}

}  // namespace

void OpenPage(const std::string& title, Markup* html, const std::string& navigation) {
  html->Open("html", {{"xmlns", "http://www.w3.org/1999/xhtml"}, {"lang", "en"}}).Open("head");
  html->Empty("meta", {{"charset", "utf-8"}});
  html->Empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  html->Element("title", title).Element("style", kStyleSheet).Close();
  html->Open("body").Open("header").Element("h1", title).Append(navigation);
  html->Close().Open("main");
}

}  // namespace report

std::string FormatPage(const std::vector<TrainingRun>& runs) { return report::FormatRuns(runs); }

}  // namespace cmerc
