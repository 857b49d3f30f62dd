#include "experiment/gather.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status.h"
#include "experiment/compare.h"
#include "experiment/evidence.h"
#include "experiment/labels.h"
#include "experiment/statistics.h"
#include "experiment/test_folds.h"
#include "metrics/report.pb.h"

namespace cmerc {
namespace {

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

// Sets the F1 of each class, unless the classes of the runs differ.
void AddClasses(const Scores& scores, ExperimentRow* row) {
  const SplitReport& first = scores[0]->summary.test();
  for (const FinishedRun* run : scores) {
    if (!SameClasses(first, run->summary.test())) return;
  }
  for (int c = 0; c < first.classes_size(); ++c) {
    std::vector<double> f1;
    for (const FinishedRun* run : scores) f1.push_back(run->summary.test().classes(c).f1());
    ClassStatistic* one = row->add_classes();
    one->set_name(first.classes(c).name());
    *one->mutable_f1() = Describe(f1);
  }
}

// Sets F1 without classes, unless a run has none or leaves out others.
void AddF1Without(const Scores& scores, ExperimentRow* row) {
  const F1Without& first = scores[0]->summary.test().f1_without();
  std::vector<double> micro, macro, weighted;
  for (const FinishedRun* run : scores) {
    const SplitReport& test = run->summary.test();
    const F1Without& without = test.f1_without();
    if (!test.has_f1_without() || !std::equal(first.classes().begin(), first.classes().end(),
                                              without.classes().begin(), without.classes().end())) {
      return;
    }
    micro.push_back(without.micro_f1());
    macro.push_back(without.macro_f1());
    weighted.push_back(without.weighted_f1());
  }
  F1WithoutStatistic* statistic = row->mutable_f1_without();
  *statistic->mutable_classes() = first.classes();
  *statistic->mutable_micro_f1() = Describe(micro);
  *statistic->mutable_macro_f1() = Describe(macro);
  *statistic->mutable_weighted_f1() = Describe(weighted);
}

// The row of a table: statistics over the seeds of one dataset and variant.
ExperimentRow RowOf(const Scores& scores) {
  ExperimentRow row;
  row.set_dataset(scores[0]->dataset);
  row.set_variant(scores[0]->variant());
  row.set_base_variant(scores[0]->base_variant);
  row.set_protocol(scores[0]->summary.protocol());
  if (scores[0]->summary.has_selected_by()) {
    *row.mutable_selected_by() = scores[0]->summary.selected_by();
  }
  const std::optional<bool> calibrated = scores[0]->calibrated();
  const bool all_say = std::all_of(scores.begin(), scores.end(), [&](const FinishedRun* run) {
    return run->calibrated() == calibrated;
  });
  if (calibrated.has_value() && all_say) row.mutable_calibrated()->set_value(*calibrated);
  AddClasses(scores, &row);
  AddF1Without(scores, &row);
  if (!scores[0]->fold_folders.empty()) {
    row.mutable_test_folds()->set_value(static_cast<int>(scores[0]->fold_folders.size()));
  }
  std::vector<const SplitReport*> splits;
  for (const FinishedRun* run : scores) splits.push_back(&run->summary.test());
  AddEvidence(splits, &row);
  std::vector<double> weighted_f1, accuracy, macro_f1, valid;
  std::vector<std::string> views;
  std::map<std::string, std::vector<double>> shares, scaled_shares;
  std::vector<const CalibrationReport*> calibration, scaled;
  for (const FinishedRun* run : scores) {
    const RunSummary& summary = run->summary;
    row.add_seeds(run->seed);
    row.add_weighted_f1_of_seeds(summary.test().weighted_f1());
    weighted_f1.push_back(summary.test().weighted_f1());
    accuracy.push_back(summary.test().accuracy());
    macro_f1.push_back(summary.test().macro_f1());
    if (summary.has_valid()) valid.push_back(summary.valid().weighted_f1());
    if (summary.test().has_calibration()) calibration.push_back(&summary.test().calibration());
    const PostHocReport* temperature = TemperatureOf(summary.test());
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
    if (scaled_shares[view].size() == scores.size()) {
      *statistic->mutable_share_surer_without_scaled() = Describe(scaled_shares[view]);
    }
  }
  // Rows of runs with and without them would compare different runs.
  if (calibration.size() == scores.size()) {
    *row.mutable_calibration() = DescribeCalibration(calibration);
  }
  if (scaled.size() == scores.size()) {
    *row.mutable_calibration_scaled() = DescribeCalibration(scaled);
  }
  return row;
}

// The rows of a dataset and variant: its uncalibrated model's, where it has one, and its own.
struct Group {
  Scores uncalibrated;
  Scores own;
};

// (dataset, variant of the plan) -> its runs.
using Groups = std::map<std::pair<std::string, std::string>, Group>;

Groups GroupsOf(const std::vector<FinishedRun>& runs) {
  Groups groups;
  for (const FinishedRun& run : runs) {
    Group& group = groups[{run.dataset, run.base_variant}];
    (run.is_uncalibrated ? group.uncalibrated : group.own).push_back(&run);
  }
  return groups;
}

// "cmerc 0.2.0; abseil 20220623.1; ...": cmerc, and then in the order of names, since a map of
// Protobuf has none of its own.
std::string VersionsOf(const RunSummary& summary) {
  std::vector<std::string> versions;
  for (const auto& [name, version] : summary.versions()) {
    versions.push_back(absl::StrCat(name, " ", version));
  }
  std::sort(versions.begin(), versions.end());
  std::stable_partition(versions.begin(), versions.end(), [](const std::string& version) {
    return absl::StartsWith(version, "cmerc ");
  });
  return absl::StrJoin(versions, "; ");
}

}  // namespace

absl::StatusOr<ExperimentResults> GatherResults(const ExperimentPlan& plan,
                                                const std::vector<PlannedRun>& planned,
                                                const std::vector<FinishedRun>& finished) {
  TestFiles files;
  ASSIGN_OR_RETURN(const PooledRuns pooled, PoolTestFolds(planned, finished, &files));
  const Groups groups = GroupsOf(pooled.runs);
  std::map<std::string, std::string> baselines;
  for (const PlannedVariant& variant : VariantsOf(plan)) baselines[variant.name] = variant.baseline;

  ExperimentResults results;
  for (const std::string& remark : pooled.remarks) results.add_remarks(remark);
  std::vector<std::pair<std::string, std::string>> done;
  for (const PlannedRun& run : planned) {
    const std::pair<std::string, std::string> key(run.dataset, run.variant);
    if (groups.count(key) == 0 || std::find(done.begin(), done.end(), key) != done.end()) continue;
    done.push_back(key);
    const Group& group = groups.at(key);
    if (!group.uncalibrated.empty()) *results.add_rows() = RowOf(group.uncalibrated);
    ExperimentRow* row = results.add_rows();
    *row = RowOf(group.own);
    const std::string& named = baselines[run.variant];
    const auto other = groups.find({run.dataset, named});
    const Scores* against = named.empty()           ? &group.uncalibrated
                            : other == groups.end() ? nullptr
                                                    : &other->second.own;
    if (against == nullptr || against->empty()) continue;
    std::vector<std::string> remarks;
    RETURN_IF_ERROR(
        Compare(group.own, *against, against->front()->variant(), &files, row, &remarks));
    for (const std::string& remark : remarks) {
      results.add_remarks(absl::StrCat(run.dataset, run.dataset.empty() ? "" : "/",
                                       ShownVariant(run.variant), ": ", remark));
    }
  }
  CorrectPValues(&results);
  for (const FinishedRun& run : finished) {
    const std::string versions = VersionsOf(run.summary);
    const bool known = std::find(results.versions().begin(), results.versions().end(), versions) !=
                       results.versions().end();
    if (!versions.empty() && !known) results.add_versions(versions);
  }
  return results;
}

}  // namespace cmerc
