#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "report/charts.h"
#include "report/figure.h"
#include "report/sections.h"

namespace cmerc::report {
namespace {

constexpr size_t kHardestShown = 10;

std::string FirstEpoch(const CurriculumConversation& conversation) {
  return conversation.first_epoch() < 0 ? "never" : absl::StrCat(conversation.first_epoch());
}

}  // namespace

std::string FormatCurriculum(const TrainingRun& run) {
  if (!run.curriculum.has_value() || run.curriculum->conversations_size() == 0) return "";
  const CurriculumReport& curriculum = *run.curriculum;
  Markup html;
  html.Element("h3", "Curriculum");
  const int never = static_cast<int>(
      std::count_if(curriculum.conversations().begin(), curriculum.conversations().end(),
                    [](const auto& conversation) { return conversation.first_epoch() < 0; }));
  html.Element(
      "p", absl::StrCat("Difficulties of the ", curriculum.conversations_size(),
                        " training conversations from ", curriculum.difficulties_from(),
                        never > 0 ? absl::StrCat("; ", never, " are used in no epoch") : "", "."));

  LineChart used;
  used.heading = {"Conversations trained on",
                  "A line: how many conversations each epoch trains on."};
  used.x_label = "epoch";
  used.series = {{"conversations", {}}};
  std::vector<double> counts = {0};
  for (const EpochReport& epoch : run.epochs) {
    used.x.push_back(epoch.epoch());
    used.series[0].values.push_back(epoch.conversations());
    counts.push_back(epoch.conversations());
  }
  used.y_axis = NiceAxis(counts, 6);

  PointChart when, length;
  when.heading = {"When each conversation joins",
                  "A dot per training conversation: across, the first epoch that trains on it; up, "
                  "its difficulty."};
  when.x_label = "first epoch";
  when.y_label = "difficulty";
  when.whole_x = true;
  length.heading = {"Length and difficulty",
                    "A dot per training conversation: across, its utterances; up, its difficulty."};
  length.x_label = "utterances";
  length.y_label = "difficulty";
  std::vector<const CurriculumConversation*> hardest;
  for (const CurriculumConversation& one : curriculum.conversations()) {
    const std::string name =
        absl::StrFormat("%s: difficulty %.4g, %d utterances, first epoch %s", one.conversation(),
                        one.difficulty(), one.utterances(), FirstEpoch(one));
    if (one.first_epoch() >= 0) {
      when.points.push_back({static_cast<double>(one.first_epoch()), one.difficulty(), name});
    }
    length.points.push_back({static_cast<double>(one.utterances()), one.difficulty(), name});
    hardest.push_back(&one);
  }
  std::stable_sort(hardest.begin(), hardest.end(),
                   [](const auto* a, const auto* b) { return a->difficulty() > b->difficulty(); });
  Table table{{"conversation", "difficulty", "utterances", "first epoch"}, {}};
  for (size_t i = 0; i < std::min(kHardestShown, hardest.size()); ++i) {
    const CurriculumConversation& one = *hardest[i];
    table.rows.push_back({one.conversation(), FormatNumber(one.difficulty(), Numbers::kPlain),
                          absl::StrCat(one.utterances()), FirstEpoch(one)});
  }
  html.Open("div", {{"class", "figures"}});
  html.Append(DrawPointChart(when)).Append(DrawPointChart(length)).Append(DrawLineChart(used));
  html.Open("div").Element("h4", "Hardest conversations").Append(FormatTable(table)).Close();
  return html.Finish();
}

}  // namespace cmerc::report
