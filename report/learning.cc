#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "report/charts.h"
#include "report/figure.h"
#include "report/remarks.h"
#include "report/sections.h"

namespace cmerc::report {
namespace {

using Value = std::function<double(const EpochReport&)>;

// A chart over the epochs of either list.
LineChart OverEpochs(const TrainingRun& run) {
  std::set<double> epochs;
  for (const auto* list : {&run.epochs, &run.uncalibrated_epochs}) {
    for (const EpochReport& report : *list) epochs.insert(report.epoch());
  }
  LineChart chart;
  chart.x_label = "epoch";
  chart.x.assign(epochs.begin(), epochs.end());
  if (run.summary.has_value()) {
    chart.mark = run.summary->selected_epoch();
    chart.mark_label = absl::StrCat("selected: epoch ", *chart.mark);
  }
  return chart;
}

void AddSeries(const std::string& name, const std::vector<EpochReport>& epochs, const Value& value,
               LineChart* chart) {
  if (epochs.empty()) return;
  Series series{name, std::vector<double>(chart->x.size(), std::nan(""))};
  for (const EpochReport& report : epochs) {
    const auto place = std::lower_bound(chart->x.begin(), chart->x.end(), report.epoch());
    series.values[place - chart->x.begin()] = value(report);
  }
  chart->series.push_back(std::move(series));
}

const SplitReport& Selecting(const EpochReport& report) {
  return report.has_valid() ? report.valid() : report.test();
}

std::string SelectingName(const TrainingRun& run) {
  return IsOfficialProtocol(run) ? "test" : "valid";
}

// Index of a loss in reports of `epochs`, or -1.
int IndexOf(const std::string& loss, const std::vector<EpochReport>& epochs) {
  if (epochs.empty()) return -1;
  for (int i = 0; i < epochs[0].losses_size(); ++i) {
    if (epochs[0].losses(i).loss() == loss) return i;
  }
  return -1;
}

std::string ModelName(const TrainingRun& run) {
  return run.uncalibrated_epochs.empty() ? "model" : "calibrated";
}

std::string DrawLoss(const TrainingRun& run, int index) {
  const std::string& name = run.epochs[0].losses(index).loss();
  LineChart chart = OverEpochs(run);
  chart.heading = {absl::StrCat("Loss: ", PluginName(name)),
                   "A line: the loss term before its weight, mean over the steps of each epoch."};
  AddSeries(
      ModelName(run), run.epochs,
      [index](const EpochReport& report) { return report.losses(index).value(); }, &chart);
  const int other = IndexOf(name, run.uncalibrated_epochs);
  if (other >= 0) {
    AddSeries(
        "uncalibrated", run.uncalibrated_epochs,
        [other](const EpochReport& report) { return report.losses(other).value(); }, &chart);
  }
  return DrawLineChart(chart);
}

}  // namespace

std::string PluginName(const std::string& options) {
  absl::string_view name = options;
  absl::ConsumePrefix(&name, "cmerc.");
  absl::ConsumeSuffix(&name, "Options");
  return std::string(name.empty() ? absl::string_view(options) : name);
}

std::string FormatSelection(const TrainingRun& run, const std::string& caption,
                            const std::optional<Axis>& y_axis) {
  LineChart chart = OverEpochs(run);
  const std::string selecting = SelectingName(run);
  const std::string by = run.summary.has_value() && run.summary->has_selected_by()
                             ? absl::StrCat(" by ", run.summary->selected_by().value())
                             : "";
  chart.heading = {caption, absl::StrCat("Lines: weighted F1 on the ", selecting,
                                         " split, which selects the epoch", by,
                                         ", and on the training conversations, over epochs.")};
  chart.numbers = Numbers::kPercent;
  chart.y_axis = y_axis;
  AddSeries(
      selecting, run.epochs,
      [](const EpochReport& report) { return Selecting(report).weighted_f1(); }, &chart);
  AddSeries(
      "train", run.epochs, [](const EpochReport& report) { return report.train_weighted_f1(); },
      &chart);
  AddSeries(
      absl::StrCat(selecting, ", uncalibrated"), run.uncalibrated_epochs,
      [](const EpochReport& report) { return Selecting(report).weighted_f1(); }, &chart);
  AddSeries(
      "train, uncalibrated", run.uncalibrated_epochs,
      [](const EpochReport& report) { return report.train_weighted_f1(); }, &chart);
  return DrawLineChart(chart);
}

std::string FormatLearning(const TrainingRun& run) {
  Markup html;
  html.Element("h3", "Learning").Open("div", {{"class", "figures"}});
  html.Append(FormatSelection(run, "Weighted F1", std::nullopt));

  LineChart accuracy = OverEpochs(run);
  accuracy.heading = {"Accuracy", "Lines: accuracy over epochs."};
  accuracy.numbers = Numbers::kPercent;
  AddSeries(
      SelectingName(run), run.epochs,
      [](const EpochReport& report) { return Selecting(report).accuracy(); }, &accuracy);
  AddSeries(
      "train", run.epochs, [](const EpochReport& report) { return report.train_accuracy(); },
      &accuracy);
  html.Append(DrawLineChart(accuracy));

  LineChart total = OverEpochs(run);
  total.heading = {"Loss: weighted sum",
                   "Lines: the minimised sum of losses, mean over the steps of each epoch, and the "
                   "losses without views on the split that selects the epoch."};
  AddSeries(
      "train, all losses", run.epochs,
      [](const EpochReport& report) { return report.total_loss(); }, &total);
  AddSeries(
      absl::StrCat(SelectingName(run), ", losses without views"), run.epochs,
      [](const EpochReport& report) { return Selecting(report).loss(); }, &total);
  html.Append(DrawLineChart(total));
  if (run.epochs[0].has_learning_rate()) {
    LineChart rate = OverEpochs(run);
    rate.heading = {"Learning rate", "A line: the learning rate of the last step of each epoch."};
    AddSeries(
        ModelName(run), run.epochs,
        [](const EpochReport& report) { return report.learning_rate().value(); }, &rate);
    html.Append(DrawLineChart(rate));
  }
  for (int i = 0; i < run.epochs[0].losses_size(); ++i) html.Append(DrawLoss(run, i));
  if (Selecting(run.epochs[0]).has_calibration()) {
    const auto ece = [](const EpochReport& report) {
      return Selecting(report).calibration().ece();
    };
    LineChart chart = OverEpochs(run);
    chart.heading = {absl::StrCat("ECE, ", SelectingName(run)),
                     "Lines: the expected calibration error over epochs."};
    chart.numbers = Numbers::kPercent;
    AddSeries(ModelName(run), run.epochs, ece, &chart);
    AddSeries("uncalibrated", run.uncalibrated_epochs, ece, &chart);
    html.Append(DrawLineChart(chart));
  }
  return html.Finish();
}

std::string FormatTiming(const TrainingRun& run) {
  if (run.timing.empty()) return "";
  Markup html;
  html.Element("h3", "Time and memory");
  double seconds = 0, peak = 0;
  LineChart chart;
  chart.heading = {"Seconds per epoch",
                   "Lines: seconds of the training steps of each epoch, and of the whole epoch."};
  chart.x_label = "epoch";
  Series train{"training steps", {}}, total{"with evaluation and checkpoints", {}};
  std::vector<const TimingReport*> slowest;
  for (const TimingReport& timing : run.timing) {
    chart.x.push_back(timing.epoch());
    train.values.push_back(timing.train_seconds());
    total.values.push_back(timing.total_seconds());
    seconds += timing.total_seconds();
    peak = std::max(peak, timing.peak_memory_bytes());
    if (timing.slowest_step().conversations_size() > 0) slowest.push_back(&timing);
  }
  chart.series = {train, total};
  html.Element("p", absl::StrFormat("%.1f s for %d epochs; peak memory of the process %.0f MB.",
                                    seconds, run.timing.size(), peak / 1e6));
  html.Open("div", {{"class", "figures"}}).Append(DrawLineChart(chart));
  if (!slowest.empty()) {
    std::stable_sort(slowest.begin(), slowest.end(), [](const auto* a, const auto* b) {
      return a->slowest_step().seconds() > b->slowest_step().seconds();
    });
    constexpr size_t kShown = 5;
    if (slowest.size() > kShown) slowest.resize(kShown);
    Table table{{"epoch", "seconds", "utterances", "conversations of the step"}, {}};
    for (const TimingReport* timing : slowest) {
      const StepTiming& step = timing->slowest_step();
      table.rows.push_back({absl::StrCat(timing->epoch()), absl::StrFormat("%.3f", step.seconds()),
                            absl::StrCat(step.utterances()),
                            absl::StrJoin(step.conversations(), ", ")});
    }
    html.Open("div").Element("h4", "Slowest steps");
    html.Element("p",
                 "The slowest step of an epoch, of the slowest epochs. A step trains its "
                 "conversations together, padded to the longest; the first step of a run also "
                 "allocates memory.");
    html.Append(FormatTable(table)).Close();
  }
  return html.Finish();
}

}  // namespace cmerc::report
