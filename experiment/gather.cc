#include "experiment/gather.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "experiment/over_conversations.h"
#include "experiment/run_files.h"
#include "experiment/statistics.h"
#include "experiment/test_predictions.h"
#include "metrics/report.pb.h"

namespace cmerc {
namespace {

// What the runs of one dataset and variant found, in the order of their seeds; the uncalibrated
// models of the same runs are a variant of their own.
struct Scores {
  std::vector<uint64_t> seeds;
  std::vector<RunSummary> summaries;
  std::vector<std::string> folders;
};

// Test predictions by the folder of their run. A folder is read once, however many variants are
// compared with it.
class PredictionFiles {
 public:
  // DataLoss: the file of this folder, which has this summary, cannot be read as predictions.
  absl::StatusOr<const TestPredictions*> Of(const std::string& folder, const RunSummary& summary) {
    const auto known = files_.find(folder);
    if (known != files_.end()) return &known->second;
    std::vector<std::string> class_names;
    for (const ClassReport& one : summary.test().classes()) class_names.push_back(one.name());
    ASSIGN_OR_RETURN(TestPredictions read, ReadTestPredictions(folder + "/test_predictions.jsonl",
                                                               std::move(class_names)));
    return &files_.emplace(folder, std::move(read)).first->second;
  }

 private:
  std::map<std::string, TestPredictions> files_;
};

// What temperature scaling did for a run; null where it was not measured.
const PostHocReport* TemperatureOf(const RunSummary& summary) {
  for (const PostHocReport& one : summary.test().post_hoc()) {
    if (one.method() == "temperature") return &one;
  }
  return nullptr;
}

CalibrationStatistic DescribeCalibration(const std::vector<const CalibrationReport*>& reports) {
  const auto statistic = [&](double (CalibrationReport::*measure)() const) {
    std::vector<double> values;
    values.reserve(reports.size());
    for (const CalibrationReport* report : reports) values.push_back((report->*measure)());
    return Describe(values);
  };
  CalibrationStatistic result;
  *result.mutable_ece() = statistic(&CalibrationReport::ece);
  *result.mutable_nll() = statistic(&CalibrationReport::nll);
  *result.mutable_brier() = statistic(&CalibrationReport::brier);
  *result.mutable_e_aurc() = statistic(&CalibrationReport::e_aurc);
  std::vector<double> floors, errors;
  for (const CalibrationReport* report : reports) {
    if (report->has_ece_floor()) floors.push_back(report->ece_floor().value());
    if (report->has_ece_error()) errors.push_back(report->ece_error().value());
  }
  if (floors.size() == reports.size()) *result.mutable_ece_floor() = Describe(floors);
  if (errors.size() == reports.size()) *result.mutable_ece_error() = Describe(errors);
  return result;
}

// The row of a table: statistics over the seeds of one dataset and variant, of which there is at
// least one.
ExperimentRow RowOf(const std::string& dataset, const std::string& variant, const Scores& scores) {
  ExperimentRow row;
  row.set_dataset(dataset);
  row.set_variant(variant);
  row.set_protocol(scores.summaries[0].protocol());
  std::vector<double> weighted_f1, accuracy, macro_f1, valid;
  std::vector<std::string> views;
  std::map<std::string, std::vector<double>> shares, scaled_shares;
  std::vector<const CalibrationReport*> calibration, scaled;
  for (size_t i = 0; i < scores.seeds.size(); ++i) {
    const RunSummary& summary = scores.summaries[i];
    row.add_seeds(scores.seeds[i]);
    row.add_weighted_f1_of_seeds(summary.test().weighted_f1());
    weighted_f1.push_back(summary.test().weighted_f1());
    accuracy.push_back(summary.test().accuracy());
    macro_f1.push_back(summary.test().macro_f1());
    if (summary.has_valid()) valid.push_back(summary.valid().weighted_f1());
    if (summary.test().has_calibration()) calibration.push_back(&summary.test().calibration());
    const PostHocReport* temperature = TemperatureOf(summary);
    if (temperature != nullptr) scaled.push_back(&temperature->calibration());
    for (int v = 0; v < summary.test().views_size(); ++v) {
      const ViewReport& view = summary.test().views(v);
      if (shares.count(view.view()) == 0) views.push_back(view.view());
      shares[view.view()].push_back(view.share_surer_without());
      if (temperature != nullptr && v < temperature->share_surer_without_size()) {
        scaled_shares[view.view()].push_back(temperature->share_surer_without(v));
      }
    }
  }
  *row.mutable_weighted_f1() = Describe(weighted_f1);
  *row.mutable_accuracy() = Describe(accuracy);
  *row.mutable_macro_f1() = Describe(macro_f1);
  if (!valid.empty()) *row.mutable_valid_weighted_f1() = Describe(valid);
  for (const std::string& view : views) {
    ViewStatistic* statistic = row.add_views();
    statistic->set_view(view);
    *statistic->mutable_share_surer_without() = Describe(shares[view]);
    if (scaled_shares[view].size() == scores.seeds.size()) {
      *statistic->mutable_share_surer_without_scaled() = Describe(scaled_shares[view]);
    }
  }
  // Rows of runs with and without them would compare different runs.
  if (calibration.size() == scores.seeds.size()) {
    *row.mutable_calibration() = DescribeCalibration(calibration);
  }
  if (scaled.size() == scores.seeds.size()) {
    *row.mutable_calibration_scaled() = DescribeCalibration(scaled);
  }
  return row;
}

// "HELD_OUT" of "HELD_OUT (the validation split selects the epoch)".
std::string ShortProtocol(const RunSummary& summary) {
  return summary.protocol().substr(0, summary.protocol().find(' '));
}

// Why the test scores of two systems mean different things, so that their difference means nothing;
// "" where they do not.
std::string Incomparable(const Scores& scores, const Scores& baseline) {
  const RunSummary& ours = scores.summaries[0];
  const std::string protocol = ShortProtocol(ours);
  const SplitReport& test = ours.test();
  for (const Scores* one : {&scores, &baseline}) {
    for (const RunSummary& other : one->summaries) {
      if (ShortProtocol(other) != protocol) {
        return absl::StrCat("one was scored under ", protocol, ", the other under ",
                            ShortProtocol(other));
      }
      bool same = test.classes_size() == other.test().classes_size();
      for (int c = 0; same && c < test.classes_size(); ++c) {
        same = test.classes(c).name() == other.test().classes(c).name();
      }
      if (!same) return "their classes differ";
    }
  }
  return "";
}

// Compares a row with its baseline `name` over the seeds that both have, and leaves the row as it
// is where they share none. Where they may not be compared, or only over seeds, `remark` says so.
absl::Status Compare(const Scores& scores, const Scores& baseline, const std::string& name,
                     PredictionFiles* files, ExperimentRow* row, std::string* remark) {
  const std::string why = Incomparable(scores, baseline);
  if (!why.empty()) {
    *remark = absl::StrCat("not compared with ", name, ": ", why);
    return absl::OkStatus();
  }
  std::vector<double> differences;
  std::vector<PairedPredictions> pairs;
  const TestPredictions* first = nullptr;
  bool missing = false;
  for (size_t i = 0; i < scores.seeds.size(); ++i) {
    for (size_t j = 0; j < baseline.seeds.size(); ++j) {
      if (scores.seeds[i] != baseline.seeds[j]) continue;
      differences.push_back(scores.summaries[i].test().weighted_f1() -
                            baseline.summaries[j].test().weighted_f1());
      ASSIGN_OR_RETURN(const TestPredictions* ours,
                       files->Of(scores.folders[i], scores.summaries[i]));
      ASSIGN_OR_RETURN(const TestPredictions* theirs,
                       files->Of(baseline.folders[j], baseline.summaries[j]));
      missing = missing || ours->labels.empty() || theirs->labels.empty();
      if (first == nullptr) first = ours;
      const auto same_utterances = [first](const TestPredictions& other) {
        return other.ids == first->ids && other.lengths == first->lengths &&
               other.labels == first->labels;
      };
      if (same_utterances(*ours) && same_utterances(*theirs)) {
        pairs.push_back({ours->predicted, theirs->predicted});
      }
    }
  }
  if (differences.empty()) return absl::OkStatus();
  Comparison* comparison = row->mutable_comparison();
  comparison->set_baseline(name);
  comparison->set_seeds(static_cast<int>(differences.size()));
  *comparison->mutable_difference() = Describe(differences);
  comparison->set_p_value(RandomizationTest(differences));
  if (missing) {
    *remark = absl::StrCat("compared with ", name,
                           " over seeds alone: a run has no test_predictions.jsonl");
  } else if (pairs.size() < differences.size()) {
    *remark = absl::StrCat("compared with ", name,
                           " over seeds alone: their test splits are not the same utterances");
  } else {
    *comparison->mutable_over_conversations() =
        CompareOverConversations(first->labels, first->lengths, pairs);
  }
  return absl::OkStatus();
}

// Fills what Holm makes of the p-values of all comparisons: those over seeds are one family, those
// over conversations another.
void CorrectPValues(ExperimentResults* results) {
  std::vector<Comparison*> comparisons;
  std::vector<ConversationComparison*> over_conversations;
  std::vector<double> of_seeds, of_conversations;
  for (ExperimentRow& row : *results->mutable_rows()) {
    if (!row.has_comparison()) continue;
    comparisons.push_back(row.mutable_comparison());
    of_seeds.push_back(row.comparison().p_value());
    if (!row.comparison().has_over_conversations()) continue;
    over_conversations.push_back(row.mutable_comparison()->mutable_over_conversations());
    of_conversations.push_back(over_conversations.back()->p_value());
  }
  of_seeds = HolmCorrected(of_seeds);
  of_conversations = HolmCorrected(of_conversations);
  for (size_t i = 0; i < comparisons.size(); ++i) comparisons[i]->set_p_value_holm(of_seeds[i]);
  for (size_t i = 0; i < over_conversations.size(); ++i) {
    over_conversations[i]->set_p_value_holm(of_conversations[i]);
  }
}

}  // namespace

absl::StatusOr<ExperimentResults> GatherResults(const ExperimentPlan& plan,
                                                const std::vector<PlannedRun>& runs,
                                                const std::string& output) {
  const std::string uncalibrated = ", uncalibrated";
  // (dataset, variant) -> what its runs found.
  std::map<std::pair<std::string, std::string>, Scores> scores;
  std::vector<std::pair<std::string, std::string>> order;  // dataset and variant
  for (const PlannedRun& run : runs) {
    const std::pair<std::string, std::string> key(run.dataset, run.variant);
    if (std::find(order.begin(), order.end(), key) == order.end()) order.push_back(key);
    const std::string folder = RunFolder(output, run);
    if (!IsFinished(folder, run)) continue;
    ASSIGN_OR_RETURN(const RunSummary summary, ReadSummary(folder));
    Scores& own = scores[key];
    own.seeds.push_back(run.seed);
    own.summaries.push_back(summary);
    own.folders.push_back(folder);
    if (!summary.has_uncalibrated()) continue;
    Scores& plain = scores[{run.dataset, run.variant + uncalibrated}];
    plain.seeds.push_back(run.seed);
    plain.summaries.push_back(summary.uncalibrated());
    plain.folders.push_back(folder + "/uncalibrated");
  }
  std::map<std::string, std::string> baselines;
  for (const Variation& variant : plan.variants()) baselines[variant.name()] = variant.baseline();

  ExperimentResults results;
  PredictionFiles files;
  for (const auto& [dataset, variant] : order) {
    const auto own = scores.find({dataset, variant});
    if (own == scores.end()) continue;
    const std::string plain_name = variant + uncalibrated;
    const auto plain = scores.find({dataset, plain_name});
    if (plain != scores.end()) *results.add_rows() = RowOf(dataset, plain_name, plain->second);
    ExperimentRow* row = results.add_rows();
    *row = RowOf(dataset, variant, own->second);
    const std::string baseline = baselines[variant].empty() ? plain_name : baselines[variant];
    const auto against = scores.find({dataset, baseline});
    if (against == scores.end()) continue;
    std::string remark;
    RETURN_IF_ERROR(Compare(own->second, against->second, baseline, &files, row, &remark));
    if (remark.empty()) continue;
    results.add_remarks(absl::StrCat(dataset, dataset.empty() ? "" : "/",
                                     variant.empty() ? "the base" : variant, ": ", remark));
  }
  CorrectPValues(&results);
  return results;
}

}  // namespace cmerc
