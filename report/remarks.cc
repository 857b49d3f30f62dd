#include "report/remarks.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace cmerc::report {
namespace {

// The difference of weighted F1 between validation and test split that is worth a remark.
constexpr double kFarApart = 0.05;

std::string Quoted(const std::vector<std::string>& names) { return absl::StrJoin(names, ", "); }

void AddNeverPredicted(const SplitReport& test, std::vector<std::string>* remarks) {
  std::vector<std::string> never;
  for (int predicted = 0; predicted < test.confusion_size(); ++predicted) {
    int64_t count = 0;
    for (const ConfusionRow& row : test.confusion()) count += row.predicted(predicted);
    if (count == 0) never.push_back(test.classes(predicted).name());
  }
  if (never.empty()) return;
  remarks->push_back(absl::StrCat("Never predicted on the test split: ", Quoted(never), "."));
}

void AddMissingClasses(const std::string& name, const SplitReport& split,
                       std::vector<std::string>* remarks) {
  std::vector<std::string> missing;
  for (const ClassReport& one : split.classes()) {
    if (one.support() == 0) missing.push_back(one.name());
  }
  if (missing.empty()) return;
  remarks->push_back(
      absl::StrCat("The ", name, " split has no utterance of: ", Quoted(missing), "."));
}

}  // namespace

bool IsOfficialProtocol(const TrainingRun& run) {
  if (run.summary.has_value()) return absl::StartsWith(run.summary->protocol(), "OFFICIAL");
  return run.epochs.back().has_test();
}

double MeanShareSurerWithout(const SplitReport& split) {
  double sum = 0;
  for (const ViewReport& view : split.views()) sum += view.share_surer_without();
  return sum / split.views_size();
}

std::vector<std::string> Remarks(const TrainingRun& run) {
  std::vector<std::string> remarks;
  if (!run.summary.has_value()) {
    remarks.push_back(
        absl::StrFormat("The run has not finished: there is no summary.json; %d epochs are shown.",
                        run.epochs.size()));
  }
  if (IsOfficialProtocol(run)) {
    remarks.emplace_back(
        "Protocol OFFICIAL: the test set selected the epoch, so the test scores are optimistic.");
  }
  if (!run.summary.has_value()) return remarks;
  const RunSummary& summary = *run.summary;
  AddNeverPredicted(summary.test(), &remarks);
  AddMissingClasses("training", summary.train(), &remarks);
  if (summary.has_valid()) AddMissingClasses("validation", summary.valid(), &remarks);
  AddMissingClasses("test", summary.test(), &remarks);
  if (summary.has_valid()) {
    const double valid = summary.valid().weighted_f1(), test = summary.test().weighted_f1();
    if (std::abs(valid - test) > kFarApart) {
      remarks.push_back(absl::StrFormat(
          "Weighted F1 is %.1f %% on the validation and %.1f %% on the test split: the one says "
          "little of the other.",
          100 * valid, 100 * test));
    }
  }
  if (run.epochs.size() > 1 && summary.selected_epoch() == run.epochs.back().epoch()) {
    remarks.emplace_back("The last epoch was selected: more epochs may score better.");
  }
  if (summary.has_uncalibrated()) {
    const SplitReport& with = summary.test();
    const SplitReport& without = summary.uncalibrated().test();
    if (with.has_calibration() && without.has_calibration() &&
        with.calibration().ece() > without.calibration().ece()) {
      remarks.push_back(absl::StrFormat(
          "The expected calibration error rose from %.2f %% (uncalibrated) to %.2f %%.",
          100 * without.calibration().ece(), 100 * with.calibration().ece()));
    }
    if (with.views_size() > 0 && with.views_size() == without.views_size() &&
        MeanShareSurerWithout(with) > MeanShareSurerWithout(without)) {
      remarks.push_back(absl::StrFormat(
          "The share of utterances surer of the true class without a source of evidence, mean over "
          "sources, rose from %.1f %% (uncalibrated) to %.1f %%.",
          100 * MeanShareSurerWithout(without), 100 * MeanShareSurerWithout(with)));
    }
  }
  return remarks;
}

std::vector<std::string> ComparisonRemarks(const std::vector<TrainingRun>& runs) {
  bool protocols = false, classes = false, supports = false;
  const RunSummary* first = nullptr;
  for (const TrainingRun& run : runs) {
    protocols = protocols || IsOfficialProtocol(run) != IsOfficialProtocol(runs[0]);
    if (!run.summary.has_value()) continue;
    if (first == nullptr) first = &*run.summary;
    const SplitReport& test = run.summary->test();
    if (test.classes_size() != first->test().classes_size()) {
      classes = true;
      continue;
    }
    for (int i = 0; i < test.classes_size(); ++i) {
      classes = classes || test.classes(i).name() != first->test().classes(i).name();
      supports = supports || test.classes(i).support() != first->test().classes(i).support();
    }
  }
  std::vector<std::string> remarks;
  if (protocols) {
    remarks.emplace_back(
        "The protocols differ: scores under OFFICIAL, where the test set selects the epoch, are "
        "optimistic beside those under HELD_OUT.");
  }
  if (classes) {
    remarks.emplace_back("The classes differ: the scores are not of the same task.");
  } else if (supports) {
    remarks.emplace_back("The test splits differ: the scores are not of the same utterances.");
  }
  return remarks;
}

}  // namespace cmerc::report
