#include "experiment/csv.h"

#include <map>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "core/printable.h"
#include "experiment/evidence.h"
#include "experiment/labels.h"

namespace cmerc {
namespace {

std::string Number(double value) { return absl::StrFormat("%.17g", value); }

std::string YesOrNo(bool yes) { return yes ? "true" : "false"; }

// What a number of results.csv is over.
struct Source {
  const ExperimentRow& row;
  int seeds;
};

void AppendCsv(const Source& source, absl::string_view measure, const Statistic& statistic,
               std::string* text) {
  // A single run has no spread, and an interval over conversations no deviation over seeds.
  const auto field = [](bool known, double value) { return known ? Number(value) : std::string(); };
  const bool spread = statistic.has_low();
  const ExperimentRow& row = source.row;
  const std::vector<std::string> cells = {
      CsvField(ShownVariant(row.dataset())),
      CsvField(ShownVariant(row.variant())),
      CsvField(measure),
      absl::StrCat(source.seeds),
      Number(statistic.mean()),
      field(spread && statistic.has_standard_deviation(), statistic.standard_deviation()),
      field(spread, statistic.low().value()),
      field(spread, statistic.high().value()),
      CsvField(ShortProtocol(row.protocol())),
      CsvField(ShownVariant(row.base_variant())),
      row.has_calibrated() ? YesOrNo(row.calibrated().value()) : ""};
  absl::StrAppend(text, absl::StrJoin(cells, ","), "\n");
}

void AppendCsv(const Source& source, absl::string_view ending,
               const CalibrationStatistic& calibration, std::string* text) {
  AppendCsv(source, absl::StrCat("ece", ending), calibration.ece(), text);
  if (calibration.has_ece_error()) {
    AppendCsv(source, absl::StrCat("ece_error", ending), calibration.ece_error(), text);
  }
  if (calibration.has_ece_floor()) {
    AppendCsv(source, absl::StrCat("ece_floor", ending), calibration.ece_floor(), text);
  }
  AppendCsv(source, absl::StrCat("nll", ending), calibration.nll(), text);
  AppendCsv(source, absl::StrCat("brier", ending), calibration.brier(), text);
  AppendCsv(source, absl::StrCat("e_aurc", ending), calibration.e_aurc(), text);
}

// A probability as a measure of its own: it has no spread.
void AppendPValue(const Source& source, absl::string_view measure, double p_value,
                  std::string* text) {
  Statistic statistic;
  statistic.set_mean(p_value);
  AppendCsv(source, measure, statistic, text);
}

// The lines of a test: `of` is what is compared, and `ending` what the names of its p-values end
// in.
template <typename Test>
void AppendTest(const Source& source, const Test& test, absl::string_view of,
                absl::string_view ending, std::string* text) {
  AppendCsv(source, absl::StrCat("difference_of_", of), test.difference(), text);
  AppendPValue(source, absl::StrCat("p_over_seeds", ending), test.p_value(), text);
  AppendPValue(source, absl::StrCat("p_over_seeds_holm", ending), test.p_value_holm(), text);
  if (!test.has_over_conversations()) return;
  const ConversationComparison& over = test.over_conversations();
  if (over.has_low()) {
    Statistic difference;
    difference.set_mean(test.difference().mean());
    *difference.mutable_low() = over.low();
    *difference.mutable_high() = over.high();
    AppendCsv(source, absl::StrCat("difference_of_", of, "_over_conversations"), difference, text);
  }
  AppendPValue(source, absl::StrCat("p_over_conversations", ending), over.p_value(), text);
  AppendPValue(source, absl::StrCat("p_over_conversations_holm", ending), over.p_value_holm(),
               text);
}

// The columns of results_runs.csv, in order, and a line's cells by column.
class RunsTable {
 public:
  void Begin() { lines_.emplace_back(); }
  void Set(const std::string& column, const std::string& cell) {
    if (known_.insert(column).second) columns_.push_back(column);
    lines_.back()[column] = cell;
  }
  void Set(const std::string& column, double value) { Set(column, Number(value)); }

  std::string Format() const {
    std::vector<std::string> cells;
    for (const std::string& column : columns_) cells.push_back(CsvField(column));
    std::string text = absl::StrCat(absl::StrJoin(cells, ","), "\n");
    for (const auto& line : lines_) {
      cells.clear();
      for (const std::string& column : columns_) {
        const auto cell = line.find(column);
        cells.push_back(cell == line.end() ? "" : cell->second);
      }
      absl::StrAppend(&text, absl::StrJoin(cells, ","), "\n");
    }
    return text;
  }

 private:
  std::vector<std::string> columns_;
  std::set<std::string> known_;
  std::vector<std::map<std::string, std::string>> lines_;
};

void SetCalibration(const CalibrationReport& calibration, const std::string& ending,
                    RunsTable* table) {
  table->Set("ece" + ending, calibration.ece());
  if (calibration.has_ece_error()) {
    table->Set("ece_error" + ending, calibration.ece_error().value());
  }
  if (calibration.has_ece_floor()) {
    table->Set("ece_floor" + ending, calibration.ece_floor().value());
  }
  table->Set("adaptive_ece" + ending, calibration.adaptive_ece());
  table->Set("classwise_ece" + ending, calibration.classwise_ece());
  table->Set("mce" + ending, calibration.mce());
  table->Set("nll" + ending, calibration.nll());
  table->Set("brier" + ending, calibration.brier());
  table->Set("aurc" + ending, calibration.aurc());
  table->Set("e_aurc" + ending, calibration.e_aurc());
}

void AddLine(const FinishedRun& run, const std::string& name, const SplitReport& split,
             RunsTable* table) {
  table->Begin();
  table->Set("dataset", CsvField(ShownVariant(run.dataset)));
  table->Set("variant", CsvField(ShownVariant(run.variant())));
  table->Set("base_variant", CsvField(ShownVariant(run.base_variant)));
  const std::optional<bool> calibrated = run.calibrated();
  table->Set("calibrated", calibrated.has_value() ? YesOrNo(*calibrated) : "");
  table->Set("protocol", CsvField(ShortProtocol(run.summary.protocol())));
  table->Set("seed", absl::StrCat(run.seed));
  if (run.test_fold.has_value()) table->Set("test_fold", absl::StrCat(*run.test_fold));
  table->Set("split", CsvField(name));
  table->Set("conversations", absl::StrCat(split.conversations()));
  table->Set("utterances", absl::StrCat(split.utterances()));
  table->Set("loss", split.loss());
  table->Set("accuracy", split.accuracy());
  table->Set("weighted_f1", split.weighted_f1());
  table->Set("macro_f1", split.macro_f1());
  if (split.has_f1_without()) {
    table->Set("micro_f1_without", split.f1_without().micro_f1());
    table->Set("macro_f1_without", split.f1_without().macro_f1());
    table->Set("weighted_f1_without", split.f1_without().weighted_f1());
  }
  if (split.has_calibration()) SetCalibration(split.calibration(), "", table);
  const PostHocReport* temperature = TemperatureOf(split);
  if (temperature != nullptr) SetCalibration(temperature->calibration(), "_scaled", table);
  for (int v = 0; v < split.views_size(); ++v) {
    const std::string column = absl::StrCat("share_surer_without_", split.views(v).view());
    table->Set(column, split.views(v).share_surer_without());
    if (temperature == nullptr || v >= temperature->share_surer_without_size()) continue;
    table->Set(column + "_scaled", temperature->share_surer_without(v));
  }
  for (const EvidenceMeasure& measure : EvidenceMeasures()) {
    for (const ViewReport& view : split.views()) {
      const std::optional<double> value = measure.of_view(view);
      // The first of them is the column above.
      if (!value.has_value() || measure.name == "mean_share_surer_without") continue;
      table->Set(absl::StrCat(measure.name, "_without_", view.view()), *value);
    }
  }
  for (const ClassReport& one : split.classes()) {
    table->Set(absl::StrCat("f1_", one.name()), one.f1());
  }
}

}  // namespace

std::string FormatCsv(const ExperimentResults& results) {
  std::string text =
      "dataset,variant,measure,seeds,mean,standard_deviation,low,high,protocol,base_variant,"
      "calibrated\n";
  for (const ExperimentRow& row : results.rows()) {
    const Source source{row, row.seeds_size()};
    AppendCsv(source, "weighted_f1", row.weighted_f1(), &text);
    AppendCsv(source, "accuracy", row.accuracy(), &text);
    AppendCsv(source, "macro_f1", row.macro_f1(), &text);
    if (row.has_valid_weighted_f1()) {
      AppendCsv(source, "valid_weighted_f1", row.valid_weighted_f1(), &text);
    }
    if (row.has_f1_without()) {
      AppendCsv(source, "micro_f1_without", row.f1_without().micro_f1(), &text);
      AppendCsv(source, "macro_f1_without", row.f1_without().macro_f1(), &text);
      AppendCsv(source, "weighted_f1_without", row.f1_without().weighted_f1(), &text);
    }
    for (const ClassStatistic& one : row.classes()) {
      AppendCsv(source, absl::StrCat("f1_", one.name()), one.f1(), &text);
    }
    for (const ViewStatistic& view : row.views()) {
      AppendCsv(source, absl::StrCat("share_surer_without_", view.view()),
                view.share_surer_without(), &text);
      if (!view.has_share_surer_without_scaled()) continue;
      AppendCsv(source, absl::StrCat("share_surer_without_", view.view(), "_scaled"),
                view.share_surer_without_scaled(), &text);
    }
    for (const EvidenceStatistic& one : row.evidence()) {
      AppendCsv(source, one.measure(), one.statistic(), &text);
    }
    if (row.has_calibration()) AppendCsv(source, "", row.calibration(), &text);
    if (row.has_calibration_scaled()) AppendCsv(source, "_scaled", row.calibration_scaled(), &text);
    if (!row.has_comparison()) continue;
    const Comparison& comparison = row.comparison();
    const Source compared{row, comparison.seeds()};
    if (row.has_scaled_baseline()) {
      const ScaledBaseline& scaled = row.scaled_baseline();
      AppendCsv(compared, "factor_of_scaled_baseline", scaled.factor(), &text);
      for (const EvidenceStatistic& one : scaled.evidence()) {
        AppendCsv(compared, absl::StrCat(one.measure(), "_of_scaled_baseline"), one.statistic(),
                  &text);
      }
    }
    AppendTest(compared, comparison, "weighted_f1", "", &text);
    for (const MeasureComparison& measure : comparison.measures()) {
      AppendTest(compared, measure, measure.measure(), "_of_" + measure.measure(), &text);
    }
  }
  return text;
}

std::string FormatRunsCsv(const std::vector<FinishedRun>& runs) {
  RunsTable table;
  for (const FinishedRun& run : runs) {
    const RunSummary& summary = run.summary;
    if (summary.has_train()) AddLine(run, "train", summary.train(), &table);
    if (summary.has_valid()) AddLine(run, "valid", summary.valid(), &table);
    AddLine(run, "test", summary.test(), &table);
  }
  return table.Format();
}

}  // namespace cmerc
