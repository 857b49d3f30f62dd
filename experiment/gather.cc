#include "experiment/gather.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "experiment/run_files.h"
#include "experiment/statistics.h"
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

// A run's predictions of the test split, of N utterances; empty where it has written none.
struct TestPredictions {
  std::vector<std::string> conversations;  // "ID LENGTH" of each
  std::vector<int32_t> labels;             // [N]
  std::vector<int32_t> predicted;          // [N]
};

absl::StatusOr<TestPredictions> ReadPredictions(const std::string& path) {
  TestPredictions result;
  std::ifstream in(path, std::ios::binary);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    ConversationPredictions one;
    const auto status = google::protobuf::util::JsonStringToMessage(line, &one);
    bool usable = status.ok() && one.labels_size() == one.predicted_size() &&
                  one.labels_size() == one.probabilities_size();
    for (int i = 0; usable && i < one.labels_size(); ++i) {
      for (const int32_t c : {one.labels(i), one.predicted(i)}) {
        usable = usable && c >= 0 && c < one.probabilities(i).values_size();
      }
    }
    if (!usable) {
      return absl::DataLossError(absl::StrCat(
          path, ":", number,
          ": cannot be read as predictions; remove the folder of this run and run it again"));
    }
    result.conversations.push_back(absl::StrCat(one.id(), " ", one.labels_size()));
    result.labels.insert(result.labels.end(), one.labels().begin(), one.labels().end());
    result.predicted.insert(result.predicted.end(), one.predicted().begin(), one.predicted().end());
  }
  return result;
}

// Test predictions by the folder of their run. A folder is read once, however many variants are
// compared with it.
class PredictionFiles {
 public:
  // DataLoss: the file of this folder cannot be read as predictions.
  absl::StatusOr<const TestPredictions*> Of(const std::string& folder) {
    const auto known = files_.find(folder);
    if (known != files_.end()) return &known->second;
    ASSIGN_OR_RETURN(TestPredictions read, ReadPredictions(folder + "/test_predictions.jsonl"));
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

// Compares a row with its baseline `name` over the seeds that both have, and leaves the row as it
// is where they share none.
absl::Status Compare(const Scores& scores, const Scores& baseline, const std::string& name,
                     PredictionFiles* files, ExperimentRow* row) {
  std::vector<double> differences;
  std::vector<PairedPredictions> pairs;
  const TestPredictions* first = nullptr;
  for (size_t i = 0; i < scores.seeds.size(); ++i) {
    for (size_t j = 0; j < baseline.seeds.size(); ++j) {
      if (scores.seeds[i] != baseline.seeds[j]) continue;
      differences.push_back(scores.summaries[i].test().weighted_f1() -
                            baseline.summaries[j].test().weighted_f1());
      ASSIGN_OR_RETURN(const TestPredictions* ours, files->Of(scores.folders[i]));
      ASSIGN_OR_RETURN(const TestPredictions* theirs, files->Of(baseline.folders[j]));
      if (first == nullptr) first = ours;
      const auto same_utterances = [first](const TestPredictions& other) {
        return other.conversations == first->conversations && other.labels == first->labels;
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
  if (pairs.size() == differences.size() && !first->labels.empty()) {
    UtteranceComparison* over_utterances = comparison->mutable_over_utterances();
    over_utterances->set_utterances(static_cast<int>(first->labels.size()));
    over_utterances->set_p_value(UtteranceRandomizationTest(first->labels, pairs));
  }
  return absl::OkStatus();
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
    RETURN_IF_ERROR(Compare(own->second, against->second, baseline, &files, row));
  }
  return results;
}

}  // namespace cmerc
