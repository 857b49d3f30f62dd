#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "metrics/confusion.h"
#include "report/charts.h"
#include "report/figure.h"
#include "report/remarks.h"
#include "report/sections.h"

namespace cmerc::report {
namespace {

constexpr char kSafeInShell[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./=+,:@%";

std::string ForShell(const std::string& word) {
  if (word.find_first_not_of(kSafeInShell) == std::string::npos) return word;
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

std::string Percent(double share) { return FormatNumber(share, Numbers::kPercent); }

// "a.pth, epoch 12: 34 tensors; drawn from the seed: head.weight; unused: ..."
std::string DescribeStartOf(const StartReport& start) {
  const auto list = [](const std::string& what, const auto& names) {
    return names.empty() ? "" : absl::StrCat("; ", what, ": ", absl::StrJoin(names, ", "));
  };
  return absl::StrCat(start.checkpoint(),
                      start.has_epoch() ? absl::StrCat(", epoch ", start.epoch()) : "", ": ",
                      start.tensors(), " tensors", list("drawn from the seed", start.fresh()),
                      list("unused", start.unused()));
}

const ClassReport* Find(const std::string& name, const SplitReport& split) {
  for (const ClassReport& one : split.classes()) {
    if (one.name() == name) return &one;
  }
  return nullptr;
}

void AddSplitRow(const std::string& name, const SplitReport& split, Table* table) {
  const std::string unlabelled =
      split.has_unlabelled_utterances()
          ? absl::StrCat(" + ", split.unlabelled_utterances().value(), " unlabelled")
          : "";
  table->rows.push_back(
      {name, absl::StrCat(split.conversations()), absl::StrCat(split.utterances(), unlabelled),
       Percent(split.weighted_f1()), Percent(split.macro_f1()), Percent(split.accuracy()),
       FormatNumber(split.loss(), Numbers::kPlain), FormatEce(split.calibration())});
}

void AddSplitRows(const RunSummary& summary, const std::string& suffix, Table* table) {
  if (summary.has_train()) AddSplitRow("train" + suffix, summary.train(), table);
  if (summary.has_valid()) AddSplitRow("valid" + suffix, summary.valid(), table);
  if (summary.has_test()) AddSplitRow("test" + suffix, summary.test(), table);
}

void AddF1Without(const std::string& name, const SplitReport& split, Table* table) {
  if (!split.has_f1_without()) return;
  const F1Without& without = split.f1_without();
  table->rows.push_back({name, absl::StrJoin(without.classes(), ", "), Percent(without.micro_f1()),
                         Percent(without.macro_f1()), Percent(without.weighted_f1())});
}

// F1 without classes; "" where no split has it.
std::string FormatF1Without(const RunSummary& summary) {
  Table table{{"split", "without", "micro F1", "macro F1", "weighted F1"}, {}};
  AddF1Without("train", summary.train(), &table);
  AddF1Without("valid", summary.valid(), &table);
  AddF1Without("test", summary.test(), &table);
  AddF1Without("test, uncalibrated", summary.uncalibrated().test(), &table);
  if (table.rows.empty()) return "";
  Markup html;
  html.Element("h4", "F1 over the other classes").Append(FormatTable(table));
  return html.Finish();
}

// What is shown of a matrix that is too large: the pairs of classes with most utterances.
std::string FormatLargestConfusions(const std::string& caption, const SplitReport& split) {
  constexpr size_t kShown = 50;
  Table table{{"true class", "predicted class", "utterances", "share of the true class"}, {}};
  for (const ConfusionCount& one : LargestConfusions(split, kShown)) {
    const ClassReport& label = split.classes(one.label());
    table.rows.push_back(
        {label.name(), split.classes(one.predicted()).name(), absl::StrCat(one.utterances()),
         Percent(one.utterances() / std::max(1.0, static_cast<double>(label.support())))});
  }
  Markup html;
  html.Open("figure").Element("figcaption", absl::StrCat(caption, ": the largest"));
  html.Append(FormatTable(table));
  return html.Finish();
}

std::string FormatMatrixOf(const std::string& caption, const SplitReport& split) {
  if (split.has_sparse_confusion()) return FormatLargestConfusions(caption, split);
  if (split.confusion_size() == 0) return "";
  MatrixChart chart;
  chart.heading = {caption,
                   "A grid: row true class, column predicted class; the darker, the larger the "
                   "share of the row."};
  for (const ClassReport& one : split.classes()) chart.classes.push_back(one.name());
  for (const ConfusionRow& row : split.confusion()) {
    chart.counts.emplace_back(row.predicted().begin(), row.predicted().end());
  }
  return DrawMatrix(chart);
}

// "hap 1, sad 0.6", in the order of the classes of `split`.
std::string ClassWeights(const LossClassWeights& loss, const SplitReport& split) {
  std::vector<std::string> weights;
  for (const ClassReport& one : split.classes()) {
    const auto weight = loss.weights().find(one.name());
    if (weight == loss.weights().end()) continue;
    weights.push_back(absl::StrCat(one.name(), " ", FormatNumber(weight->second, Numbers::kPlain)));
  }
  return absl::StrJoin(weights, ", ");
}

}  // namespace

std::string FormatRemarks(const std::vector<std::string>& remarks) {
  if (remarks.empty()) return "";
  Markup html;
  html.Open("div", {{"class", "remarks"}}).Element("h3", "Before you trust the scores");
  html.Open("ul");
  for (const std::string& remark : remarks) html.Element("li", remark);
  return html.Finish();
}

std::string FormatIdentity(const TrainingRun& run) {
  Markup html;
  html.Open("dl");
  const auto add = [&](const std::string& name, const std::string& value) {
    html.Element("dt", name).Element("dd", value);
  };
  if (run.summary.has_value()) {
    const RunSummary& summary = *run.summary;
    add("Protocol", summary.protocol());
    add("Seed", absl::StrCat(summary.seed()));
    add("Backbone",
        absl::StrCat(PluginName(summary.backbone()), ", ", summary.parameters(), " parameters"));
    add("Selected epoch",
        absl::StrCat(summary.selected_epoch(), " of ", run.epochs.back().epoch(),
                     summary.has_stopped_early() ? ", after which training stopped early" : "",
                     summary.has_selected_by()
                         ? absl::StrCat("; selected by ", summary.selected_by().value())
                         : ""));
    if (summary.has_start()) add("Starts with", DescribeStartOf(summary.start()));
    // A map of Protobuf has no order of its own.
    std::vector<std::string> versions;
    for (const auto& [name, version] : summary.versions()) {
      versions.push_back(absl::StrCat(name, " ", version));
    }
    std::sort(versions.begin(), versions.end());
    add("Versions", absl::StrJoin(versions, "; "));
    for (const LossClassWeights& loss : summary.class_weights().losses()) {
      add(absl::StrCat("Class weights, ", PluginName(loss.loss())),
          ClassWeights(loss, ReportedSplit(summary)));
    }
  } else {
    add("Protocol", IsOfficialProtocol(run) ? "OFFICIAL" : "HELD_OUT");
    add("Epochs", absl::StrCat(run.epochs.size(), " so far"));
  }
  html.Element("dt", "Repeat it").Open("dd");
  html.Element("code",
               absl::StrCat("cmerc train --config=", ForShell(run.path + "/config.textproto")));
  html.Close().Close();
  html.Open("details").Element("summary", "config.textproto").Element("pre", run.config).Close();
  return html.Finish();
}

std::string FormatScores(const RunSummary& summary) {
  Markup html;
  html.Element("h3", "Scores of the selected epoch");
  Table splits{{"split", "conversations", "utterances", "weighted F1", "macro F1", "accuracy",
                "loss", "ECE"},
               {}};
  AddSplitRows(summary, "", &splits);
  if (summary.has_uncalibrated()) {
    AddSplitRows(summary.uncalibrated(), ", uncalibrated", &splits);
  }
  html.Append(FormatTable(splits));

  html.Append(FormatF1Without(summary));
  const std::string split = ReportedSplitName(summary);
  html.Element("h4", absl::StrCat("Classes of the ", split));
  Table classes{{"class", "precision", "recall", "F1", "utterances"}, {}};
  if (summary.has_uncalibrated()) classes.header.emplace_back("F1, uncalibrated");
  for (const ClassReport& one : ReportedSplit(summary).classes()) {
    classes.rows.push_back({one.name(), Percent(one.precision()), Percent(one.recall()),
                            Percent(one.f1()), absl::StrCat(one.support())});
    if (!summary.has_uncalibrated()) continue;
    const ClassReport* other = Find(one.name(), ReportedSplit(summary.uncalibrated()));
    classes.rows.back().push_back(other == nullptr ? "-" : Percent(other->f1()));
  }
  html.Append(FormatTable(classes));
  html.Open("div", {{"class", "figures"}});
  html.Append(FormatMatrixOf(absl::StrCat("Confusion, ", split), ReportedSplit(summary)));
  if (summary.has_uncalibrated()) {
    html.Append(FormatMatrixOf(absl::StrCat("Confusion, ", split, ", uncalibrated"),
                               ReportedSplit(summary.uncalibrated())));
  }
  return html.Finish();
}

std::string FormatClassBalance(const RunSummary& summary) {
  BarChart chart;
  chart.heading = {"Share of each class",
                   "Bars: what share of a split's utterances has each class, split by split."};
  chart.row_label = "class";
  chart.numbers = Numbers::kPercent;
  std::vector<const SplitReport*> splits;
  const auto add = [&](const std::string& name, const SplitReport& split) {
    if (split.classes_size() != ReportedSplit(summary).classes_size()) return;
    chart.series.push_back(name);
    splits.push_back(&split);
  };
  if (summary.has_train()) add("train", summary.train());
  if (summary.has_valid()) add("valid", summary.valid());
  if (summary.has_test()) add("test", summary.test());
  for (int i = 0; i < ReportedSplit(summary).classes_size(); ++i) {
    BarGroup group{ReportedSplit(summary).classes(i).name(), {}};
    for (const SplitReport* split : splits) {
      double total = 0;
      for (const ClassReport& one : split->classes()) total += one.support();
      group.values.push_back(total > 0 ? split->classes(i).support() / total : 0);
    }
    chart.groups.push_back(std::move(group));
  }
  if (chart.groups.empty()) return "";
  Markup html;
  html.Element("h3", "Class balance").Open("div", {{"class", "figures"}});
  return html.Append(DrawBarChart(chart)).Finish();
}

}  // namespace cmerc::report
