#include "report/remarks.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "metrics/confusion.h"

namespace cmerc::report {
namespace {

// The difference of weighted F1 between validation and test split that is worth a remark.
constexpr double kFarApart = 0.05;

// The names, or, of many, the first of them and how many there are more.
std::string Quoted(const std::vector<std::string>& names) {
  constexpr size_t kShown = 20;
  if (names.size() <= kMostClassesOfMatrix) return absl::StrJoin(names, ", ");
  return absl::StrCat(absl::StrJoin(names.begin(), names.begin() + kShown, ", "), " and ",
                      names.size() - kShown, " more");
}

void AddNeverPredicted(const SplitReport& test, std::vector<std::string>* remarks) {
  if (test.confusion_size() == 0 && !test.has_sparse_confusion()) return;
  const std::vector<int64_t> predicted = PredictedCounts(test);
  std::vector<std::string> never;
  for (int c = 0; c < test.classes_size(); ++c) {
    if (predicted[c] == 0) never.push_back(test.classes(c).name());
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

// Whether the ECE of `with` is above that of `without` by more than two standard errors of the
// difference. The errors count as independent, although both models are measured on the same
// conversations: that makes the remark rarer, not more frequent.
bool EceRose(const CalibrationReport& with, const CalibrationReport& without) {
  if (!with.has_ece_error() || !without.has_ece_error()) return false;
  const double error = std::hypot(with.ece_error().value(), without.ece_error().value());
  return with.ece() - without.ece() > 2 * error;
}

// The classes of a run, as far as it has got: of the test split, or of the split that selects.
std::vector<std::string> ClassNames(const TrainingRun& run) {
  const EpochReport& last = run.epochs.back();
  const SplitReport& split = run.summary.has_value() ? run.summary->test()
                             : last.has_valid()      ? last.valid()
                                                     : last.test();
  std::vector<std::string> names;
  for (const ClassReport& one : split.classes()) names.push_back(one.name());
  return names;
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
  for (const std::string& warning : summary.warnings()) {
    remarks.push_back(absl::StrCat("Warning: ", warning, "."));
  }
  for (const std::string& warning : summary.uncalibrated().warnings()) {
    remarks.push_back(absl::StrCat("Warning, uncalibrated model: ", warning, "."));
  }
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
    if (EceRose(with.calibration(), without.calibration())) {
      remarks.push_back(absl::StrFormat(
          "The expected calibration error rose from %.2f ± %.2f %% (uncalibrated) to %.2f ± %.2f "
          "%%.",
          100 * without.calibration().ece(), 100 * without.calibration().ece_error().value(),
          100 * with.calibration().ece(), 100 * with.calibration().ece_error().value()));
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
  bool protocols = false, supports = false;
  const RunSummary* first = nullptr;
  for (const TrainingRun& run : runs) {
    protocols = protocols || IsOfficialProtocol(run) != IsOfficialProtocol(runs[0]);
    if (!run.summary.has_value()) continue;
    if (first == nullptr) first = &*run.summary;
    const SplitReport& test = run.summary->test();
    const int classes = std::min(test.classes_size(), first->test().classes_size());
    for (int i = 0; i < classes; ++i) {
      supports = supports || test.classes(i).support() != first->test().classes(i).support();
    }
  }
  std::vector<std::string> remarks;
  if (protocols) {
    remarks.emplace_back(
        "The protocols differ: scores under OFFICIAL, where the test set selects the epoch, are "
        "optimistic beside those under HELD_OUT.");
  }
  if (supports) {
    remarks.emplace_back("The test splits differ: the scores are not of the same utterances.");
  }
  return remarks;
}

absl::Status CheckSameClasses(const std::vector<TrainingRun>& runs) {
  std::vector<std::string> expected;
  std::string of;
  for (const TrainingRun& run : runs) {
    const std::vector<std::string> names = ClassNames(run);
    if (expected.empty()) {
      expected = names;
      of = run.path;
    }
    if (names.empty() || names == expected) continue;
    std::string difference =
        absl::StrCat("has ", names.size(), " classes, and ", of, " ", expected.size());
    if (names.size() == expected.size()) {
      const auto [here, there] = std::mismatch(names.begin(), names.end(), expected.begin());
      difference =
          absl::StrCat("has the class \"", *here, "\" where ", of, " has \"", *there, "\"");
    }
    return absl::InvalidArgumentError(
        absl::StrCat(run.path, " ", difference,
                     ": their scores are not of the same task; write a report of each"));
  }
  return absl::OkStatus();
}

}  // namespace cmerc::report
