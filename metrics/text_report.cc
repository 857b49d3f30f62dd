#include "metrics/text_report.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "core/printable.h"
#include "metrics/confusion.h"
#include "metrics/evidence_measures.h"

namespace cmerc {
namespace {

std::string RightAligned(const std::string& text, size_t width) {
  return absl::StrCat(std::string(width - std::min(width, Columns(text)), ' '), text);
}

std::string LeftAligned(const std::string& text, size_t width) {
  return absl::StrCat(text, std::string(width - std::min(width, Columns(text)), ' '));
}

struct Average {
  double precision = 0;
  double recall = 0;
  double f1 = 0;
  double weight = 0;

  void Add(const ClassReport& class_report, double by) {
    precision += by * class_report.precision();
    recall += by * class_report.recall();
    f1 += by * class_report.f1();
    weight += by;
  }
};

std::string ScoreTable(const SplitReport& report, const std::vector<int64_t>& predicted) {
  size_t width = Columns("weighted avg");
  for (int c = 0; c < report.classes_size(); ++c) {
    const ClassReport& one = report.classes(c);
    if (one.support() + predicted[c] > 0) width = std::max(width, Columns(OneLine(one.name())));
  }
  const auto row = [width](const std::string& name, double precision, double recall, double f1,
                           int64_t support) {
    return absl::StrFormat("%s  %9.4f %9.4f %9.4f %9d\n", RightAligned(name, width), precision,
                           recall, f1, support);
  };
  const auto average_row = [&](const std::string& name, const Average& sum, int64_t support) {
    const double weight = sum.weight > 0 ? sum.weight : 1;
    return row(name, sum.precision / weight, sum.recall / weight, sum.f1 / weight, support);
  };

  std::string text = absl::StrFormat("%s  %9s %9s %9s %9s\n\n", std::string(width, ' '),
                                     "precision", "recall", "f1-score", "support");
  Average macro, weighted;
  for (int c = 0; c < report.classes_size(); ++c) {
    const ClassReport& one = report.classes(c);
    if (one.support() + predicted[c] == 0) continue;
    absl::StrAppend(
        &text, row(OneLine(one.name()), one.precision(), one.recall(), one.f1(), one.support()));
    macro.Add(one, 1);
    weighted.Add(one, one.support());
  }
  absl::StrAppendFormat(&text, "\n%s  %9s %9s %9.4f %9d\n", RightAligned("accuracy", width), "", "",
                        report.accuracy(), report.utterances());
  absl::StrAppend(&text, average_row("macro avg", macro, report.utterances()),
                  average_row("weighted avg", weighted, report.utterances()));
  return text;
}

// "F1 without neutral: micro 0.5111, macro 0.4321, weighted 0.4987" and why; "" where it is not
// asked for.
std::string PartialF1(const SplitReport& report) {
  if (!report.has_f1_without()) return "";
  const F1Without& without = report.f1_without();
  std::string names;
  for (const std::string& name : without.classes()) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", OneLine(name));
  }
  return absl::StrFormat(
      "\nF1 without %s: micro %.4f, macro %.4f, weighted %.4f (data.unscored_classes)\n", names,
      without.micro_f1(), without.macro_f1(), without.weighted_f1());
}

std::string ConfusionTable(const SplitReport& report) {
  size_t name_width = 0;
  for (const ClassReport& one : report.classes()) {
    name_width = std::max(name_width, Columns(OneLine(one.name())));
  }
  std::vector<size_t> widths;
  std::string text = std::string(name_width, ' ');
  for (int c = 0; c < report.classes_size(); ++c) {
    size_t width = Columns(OneLine(report.classes(c).name()));
    for (const ConfusionRow& row : report.confusion()) {
      if (c < row.predicted_size()) {
        width = std::max(width, absl::StrCat(row.predicted(c)).size());
      }
    }
    widths.push_back(width + 2);
    absl::StrAppend(&text, RightAligned(OneLine(report.classes(c).name()), widths.back()));
  }
  absl::StrAppend(&text, "\n");
  for (int r = 0; r < std::min(report.confusion_size(), report.classes_size()); ++r) {
    absl::StrAppend(&text, RightAligned(OneLine(report.classes(r).name()), name_width));
    const ConfusionRow& row = report.confusion(r);
    for (int c = 0; c < std::min(row.predicted_size(), report.classes_size()); ++c) {
      absl::StrAppend(&text, RightAligned(absl::StrCat(row.predicted(c)), widths[c]));
    }
    absl::StrAppend(&text, "\n");
  }
  return text;
}

// What is shown of a matrix that is too large: the pairs of classes with most utterances.
std::string LargestConfusionsTable(const SplitReport& report) {
  constexpr size_t kShown = 20;
  const std::vector<ConfusionCount> all = LargestConfusions(report, report.utterances());
  if (all.empty()) return "";
  const size_t shown = std::min(all.size(), kShown);
  const std::string title = "true class";
  size_t width = Columns(title);
  for (size_t i = 0; i < shown; ++i) {
    width = std::max(width, Columns(OneLine(report.classes(all[i].label()).name())));
  }
  std::string text =
      absl::StrFormat("\nthe largest confusions (%d of %d)\n%s  %10s  %s\n", shown, all.size(),
                      RightAligned(title, width), "utterances", "predicted class");
  for (size_t i = 0; i < shown; ++i) {
    absl::StrAppendFormat(&text, "%s  %10d  %s\n",
                          RightAligned(OneLine(report.classes(all[i].label()).name()), width),
                          all[i].utterances(), OneLine(report.classes(all[i].predicted()).name()));
  }
  return text;
}

// A warning for each class that is never predicted, or, of many classes, one that counts them.
std::string NeverPredictedWarnings(const SplitReport& report,
                                   const std::vector<int64_t>& predicted) {
  const bool many = report.classes_size() > kMostClassesOfMatrix;
  std::string text;
  int classes = 0, utterances = 0;
  for (int c = 0; c < report.classes_size(); ++c) {
    const ClassReport& one = report.classes(c);
    if (one.support() == 0 || predicted[c] > 0) continue;
    ++classes;
    utterances += one.support();
    if (many) continue;
    absl::StrAppendFormat(&text, "warning: \"%s\" is never predicted (%d of %d utterances)\n",
                          OneLine(one.name()), one.support(), report.utterances());
  }
  if (!many || classes == 0) return text;
  return absl::StrFormat(
      "warning: %d of %d classes that occur are never predicted (%d of %d utterances)\n", classes,
      std::count_if(report.classes().begin(), report.classes().end(),
                    [](const ClassReport& one) { return one.support() > 0; }),
      utterances, report.utterances());
}

const PostHocReport* Temperature(const SplitReport& report) {
  for (const PostHocReport& one : report.post_hoc()) {
    if (one.method() == "temperature") return &one;
  }
  return nullptr;
}

std::optional<double> Ece(const CalibrationReport& report) { return report.ece(); }
std::optional<double> EceError(const CalibrationReport& report) {
  if (!report.has_ece_error()) return std::nullopt;
  return report.ece_error().value();
}
std::optional<double> EceFloor(const CalibrationReport& report) {
  if (!report.has_ece_floor()) return std::nullopt;
  return report.ece_floor().value();
}
std::optional<double> Nll(const CalibrationReport& report) { return report.nll(); }

// A number of a table, or "-".
std::string Cell(const std::optional<double>& value) {
  return value.has_value() ? absl::StrFormat("%.4f", *value) : std::string("-");
}

std::optional<double> ShareSurerWithout(const SplitReport& report, const std::string& view) {
  for (const ViewReport& one : report.views()) {
    if (one.view() == view) return one.share_surer_without();
  }
  return std::nullopt;
}

}  // namespace

std::string FormatSplitReport(const SplitReport& report) {
  const std::vector<int64_t> predicted = PredictedCounts(report);
  std::string text = ScoreTable(report, predicted);
  absl::StrAppend(
      &text, PartialF1(report),
      report.has_sparse_confusion()
          ? LargestConfusionsTable(report)
          : absl::StrCat("\nconfusion matrix (row: true class, column: predicted class)\n",
                         ConfusionTable(report)),
      NeverPredictedWarnings(report, predicted));
  if (report.has_unlabelled_utterances()) {
    const int count = report.unlabelled_utterances().value();
    absl::StrAppend(&text, count, count == 1 ? " utterance has" : " utterances have",
                    " no label: context, and in no score\n");
  }
  return text;
}

std::string FormatCalibration(const SplitReport& report) {
  if (!report.has_calibration()) return "";
  std::vector<std::pair<std::string, const CalibrationReport*>> rows = {
      {"as predicted", &report.calibration()}};
  for (const PostHocReport& one : report.post_hoc()) {
    std::string name = absl::StrReplaceAll(one.method(), {{"_", " "}});
    if (one.parameters_size() == 1) absl::StrAppendFormat(&name, " %.3f", one.parameters(0));
    rows.emplace_back(std::move(name), &one.calibration());
  }
  const std::string title = "calibration";
  size_t width = Columns(title);
  for (const auto& [name, one] : rows) width = std::max(width, Columns(name));
  std::string text = absl::StrFormat("%s  %9s %9s %9s %9s %9s %9s\n", LeftAligned(title, width),
                                     "ECE", "error", "floor", "NLL", "Brier", "E-AURC");
  for (const auto& [name, one] : rows) {
    absl::StrAppendFormat(&text, "%s  %9.4f %9s %9s %9.4f %9.4f %9.4f\n", LeftAligned(name, width),
                          one->ece(), Cell(EceError(*one)), Cell(EceFloor(*one)), one->nll(),
                          one->brier(), one->e_aurc());
  }
  text +=
      "error: standard error of the ECE over conversations; floor: the mean ECE of a perfectly "
      "calibrated model with these confidences\n";
  return text;
}

std::string FormatComparison(const RunSummary& calibrated, const RunSummary& uncalibrated) {
  struct Row {
    std::string name;
    std::optional<double> calibrated, uncalibrated;
  };
  const bool has_test = calibrated.has_test();
  const SplitReport& with = has_test ? calibrated.test() : calibrated.valid();
  const SplitReport& without = has_test ? uncalibrated.test() : uncalibrated.valid();
  std::vector<Row> rows = {
      {"weighted F1", with.weighted_f1(), without.weighted_f1()},
      {"macro F1", with.macro_f1(), without.macro_f1()},
      {"accuracy", with.accuracy(), without.accuracy()},
  };
  const std::pair<const char*, std::optional<double> (*)(const CalibrationReport&)> measures[] = {
      {"ECE", &Ece}, {"ECE's error", &EceError}, {"ECE's floor", &EceFloor}, {"NLL", &Nll}};
  for (const auto& [name, measure] : measures) {
    const auto as_predicted = [measure = measure](const SplitReport& report) {
      return report.has_calibration() ? measure(report.calibration()) : std::nullopt;
    };
    const auto scaled = [measure = measure](const SplitReport& report) {
      const PostHocReport* temperature = Temperature(report);
      return temperature == nullptr ? std::nullopt : measure(temperature->calibration());
    };
    rows.push_back({name, as_predicted(with), as_predicted(without)});
    rows.push_back({absl::StrCat(name, ", temperature"), scaled(with), scaled(without)});
  }
  std::vector<std::string> views;
  for (const SplitReport* report : {&with, &without}) {
    for (const ViewReport& one : report->views()) {
      if (std::find(views.begin(), views.end(), one.view()) != views.end()) continue;
      views.push_back(one.view());
      rows.push_back({absl::StrCat("surer without ", OneLine(one.view())),
                      ShareSurerWithout(with, one.view()), ShareSurerWithout(without, one.view())});
    }
  }
  const std::pair<const char*, const char*> of_views[] = {
      {"mean over views, surer, right", "share_of_right"},
      {"mean over views, VRR", "violating_ranking_rate"},
      {"mean over views, weighted F1", "weighted_f1_of_views"},
      {"mean over views, ECE", "ece_of_views"}};
  for (const auto& [row, measure] : of_views) {
    rows.push_back({row, MeanOverViews(with, measure), MeanOverViews(without, measure)});
  }
  rows.erase(std::remove_if(rows.begin(), rows.end(),
                            [](const Row& row) { return !row.calibrated && !row.uncalibrated; }),
             rows.end());

  const std::string title = has_test ? "test split" : "validation split";
  size_t width = Columns(title);
  for (const Row& row : rows) width = std::max(width, Columns(row.name));
  std::string text =
      absl::StrFormat("%s  %10s  %12s\n", LeftAligned(title, width), "calibrated", "uncalibrated");
  for (const Row& row : rows) {
    absl::StrAppendFormat(&text, "%s  %10s  %12s\n", LeftAligned(row.name, width),
                          Cell(row.calibrated), Cell(row.uncalibrated));
  }
  for (const std::string& warning : uncalibrated.warnings()) {
    absl::StrAppend(&text, "warning: uncalibrated: ", warning, "\n");
  }
  return text;
}

}  // namespace cmerc
