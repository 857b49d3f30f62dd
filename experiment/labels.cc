#include "experiment/labels.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace cmerc {
namespace {

// How large the families of tests are.
struct Families {
  int f1_over_seeds = 0;
  int f1_over_conversations = 0;
  int measures_over_seeds = 0;
  int measures_over_conversations = 0;
  std::set<int> seeds;  // of the comparisons
};

Families FamiliesOf(const ExperimentResults& results) {
  Families families;
  for (const ExperimentRow& row : results.rows()) {
    if (!row.has_comparison()) continue;
    const Comparison& comparison = row.comparison();
    ++families.f1_over_seeds;
    families.f1_over_conversations += comparison.has_over_conversations() ? 1 : 0;
    families.seeds.insert(comparison.seeds());
    for (const MeasureComparison& measure : comparison.measures()) {
      ++families.measures_over_seeds;
      families.measures_over_conversations += measure.has_over_conversations() ? 1 : 0;
    }
  }
  return families;
}

std::string Count(int count, absl::string_view what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

// What so many seeds can say at most; "" where they are so many that the test draws patterns.
std::string LeastP(int seeds) {
  if (seeds > 16) return "";
  return absl::StrFormat("with %s it cannot be below %.4g", Count(seeds, "seed"),
                         std::min(1.0, std::ldexp(2.0, -seeds)));
}

void AddTests(const Families& families, std::vector<std::string>* legend) {
  std::vector<std::string> least;
  for (const int seeds : families.seeds) {
    if (!LeastP(seeds).empty()) least.push_back(LeastP(seeds));
  }
  legend->push_back(absl::StrCat(
      "p, seeds: whether the difference would remain with other seeds; a two-sided test over the "
      "signs of the differences of the seeds, all 2^n patterns of n seeds",
      least.empty() ? "" : absl::StrCat("; ", absl::StrJoin(least, ", ")),
      families.seeds.empty() || *families.seeds.begin() > 5
          ? ""
          : "; fewer than six seeds never reach 0.05",
      "."));
  legend->push_back(
      "p, conversations: whether the difference would remain with other test conversations, for "
      "these seeds; 95 % and p by resampling and by exchanging whole conversations, in all seeds "
      "together.");
  legend->push_back(absl::StrCat("Holm: the p before it, corrected for the ",
                                 Count(families.f1_over_seeds, "comparison"),
                                 " over seeds and the ", families.f1_over_conversations,
                                 " over conversations of this table."));
}

// Which score selected the epochs of which rows, where it was not weighted F1.
void AddSelection(const ExperimentResults& results, std::vector<std::string>* legend) {
  std::map<std::string, std::vector<std::string>> rows;  // by score
  for (const ExperimentRow& row : results.rows()) {
    if (!row.has_selected_by()) continue;
    rows[row.selected_by().value()].push_back(
        absl::StrCat(row.dataset(), row.dataset().empty() ? "" : "/", ShownVariant(row.variant())));
  }
  for (const auto& [score, names] : rows) {
    legend->push_back(absl::StrCat("Epochs selected by ", score,
                                   " in place of weighted F1: ", absl::StrJoin(names, ", "), "."));
  }
}

}  // namespace

std::string ShownVariant(const std::string& name) { return name.empty() ? kBaseName : name; }

std::string ShortProtocol(const std::string& protocol) {
  return protocol.substr(0, protocol.find(' '));
}

bool SameClasses(const SplitReport& one, const SplitReport& other) {
  return std::equal(
      one.classes().begin(), one.classes().end(), other.classes().begin(), other.classes().end(),
      [](const ClassReport& a, const ClassReport& b) { return a.name() == b.name(); });
}

std::vector<std::string> ViewNames(const ExperimentResults& results) {
  std::vector<std::string> names;
  for (const ExperimentRow& row : results.rows()) {
    for (const ViewStatistic& view : row.views()) {
      if (std::find(names.begin(), names.end(), view.view()) == names.end()) {
        names.push_back(view.view());
      }
    }
  }
  return names;
}

const Statistic* ShareSurerWithout(const ExperimentRow& row, const std::string& view, bool scaled) {
  for (const ViewStatistic& one : row.views()) {
    if (one.view() != view) continue;
    if (!scaled) return &one.share_surer_without();
    return one.has_share_surer_without_scaled() ? &one.share_surer_without_scaled() : nullptr;
  }
  return nullptr;
}

std::string ShownMeasure(const std::string& measure) {
  absl::string_view view = measure;
  if (measure == "ece") return "ECE";
  if (measure == "nll") return "NLL";
  if (measure == "violating_ranking_rate") return "VRR";
  if (measure == "share_of_right") return "surer without a source where right";
  if (!absl::ConsumePrefix(&view, "share_surer_without_")) return measure;
  return absl::StrCat("surer without ", absl::StrReplaceAll(view, {{"_", " "}}));
}

std::string ScaledBaselineName(const ExperimentRow& row) {
  return absl::StrCat(ShownVariant(row.comparison().baseline()), ", views x ",
                      absl::StrFormat("%.2f", row.scaled_baseline().factor().mean()));
}

std::vector<std::string> Legend(const ExperimentResults& results) {
  std::vector<std::string> legend = {
      "Scores are of the test split unless the column says otherwise, in percent, each the mean "
      "over "
      "the seeds of its row. ±: standard deviation over seeds (of a sample, n - 1). 95 %: interval "
      "of "
      "that mean, by Student's t over seeds. Single runs have neither."};
  if (std::any_of(results.rows().begin(), results.rows().end(),
                  [](const ExperimentRow& row) { return row.has_test_folds(); })) {
    legend.push_back(
        "Test folds: each conversation is tested on once, by a model that was not trained on it; "
        "the "
        "test score of a seed is that of the predictions of all its folds together, and its "
        "validation score the mean of theirs.");
  }
  const Families families = FamiliesOf(results);
  if (families.f1_over_seeds > 0) AddTests(families, &legend);
  std::vector<std::string> protocols;
  bool official = false;
  for (const ExperimentRow& row : results.rows()) {
    official = official || ShortProtocol(row.protocol()) == "OFFICIAL";
    const bool known =
        std::find(protocols.begin(), protocols.end(), row.protocol()) != protocols.end();
    if (!row.protocol().empty() && !known) protocols.push_back(row.protocol());
  }
  if (!protocols.empty()) {
    legend.push_back(absl::StrCat("Protocol: ", absl::StrJoin(protocols, "; "), "."));
  }
  if (official) {
    legend.push_back(
        "OFFICIAL: the test set selected the epoch, so these scores are optimistic, also beside "
        "those under HELD_OUT.");
  }
  AddSelection(results, &legend);
  for (const std::string& versions : results.versions()) {
    legend.push_back(absl::StrCat("Made with ", versions, "."));
  }
  return legend;
}

std::string CalibrationFamilies(const ExperimentResults& results) {
  const Families families = FamiliesOf(results);
  if (families.measures_over_seeds == 0) return "";
  return absl::StrCat("Holm: the p before it, corrected for the ",
                      Count(families.measures_over_seeds, "test"), " over seeds and the ",
                      families.measures_over_conversations,
                      " over conversations of this table, which are families of their own.");
}

}  // namespace cmerc
