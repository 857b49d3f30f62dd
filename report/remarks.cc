#include "report/remarks.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "metrics/confusion.h"

namespace cmerc::report {
namespace {

// The difference of weighted F1 between validation and test split that is worth a remark.
constexpr double kFarApart = 0.05;

// How much a weighted F1 below the uncalibrated model's is worth a remark.
constexpr double kWorse = 0.01;

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

// Utterances without a label, which no score is of, and steps that they left nothing to learn from.
void AddUnlabelled(const RunSummary& summary, std::vector<std::string>* remarks) {
  std::vector<std::string> splits;
  for (const auto& [name, split] : {std::pair("train", &summary.train()),
                                    {"valid", &summary.valid()},
                                    {"test", &summary.test()}}) {
    if (!split->has_unlabelled_utterances()) continue;
    const int unlabelled = split->unlabelled_utterances().value();
    splits.push_back(absl::StrCat(name, " ", unlabelled, " of ", unlabelled + split->utterances()));
  }
  if (splits.empty()) return;
  remarks->push_back(absl::StrCat(
      "Some utterances have no label, are context alone, and in no score: ",
      absl::StrJoin(splits, ", "), ".",
      summary.has_steps_without_labels()
          ? absl::StrCat(" ", summary.steps_without_labels().value(),
                         " steps were not taken, since none of their utterances has one.")
          : ""));
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
  const SplitReport& split = run.summary.has_value() ? ReportedSplit(*run.summary)
                             : last.has_valid()      ? last.valid()
                                                     : last.test();
  std::vector<std::string> names;
  for (const ClassReport& one : split.classes()) names.push_back(one.name());
  return names;
}

// Training conversations that the selected weights have not seen, or no epoch has.
void AddCurriculum(const TrainingRun& run, std::vector<std::string>* remarks) {
  if (!run.curriculum.has_value()) return;
  const CurriculumReport& curriculum = *run.curriculum;
  int never = 0, unseen = 0;
  for (const CurriculumConversation& one : curriculum.conversations()) {
    const bool used = one.first_epoch() >= 0;
    never += used ? 0 : 1;
    unseen += used && one.first_epoch() <= run.summary->selected_epoch() ? 0 : 1;
  }
  const int all = curriculum.conversations_size();
  const bool stood_still =
      run.epochs.size() > 1 && run.epochs.front().conversations() == all - never;
  if (never > 0 && stood_still) {
    remarks->push_back(absl::StrFormat(
        "The curriculum has not opened: every epoch trained on the same %d of %d training "
        "conversations, and none on the other %d. More epochs, or a scheduler that opens sooner, "
        "would use them.",
        all - never, all, never));
  } else if (never > 0) {
    remarks->push_back(absl::StrFormat(
        "No epoch trained on %d of the %d training conversations: the curriculum had not opened to "
        "them when training ended. More epochs, or a scheduler that opens sooner, would use them.",
        never, all));
  }
  if (unseen > never) {
    remarks->push_back(
        absl::StrFormat("The selected epoch comes before the curriculum has opened: its weights "
                        "have seen %d of the "
                        "%d training conversations.",
                        all - unseen, all));
  }
}

// Scores below those of the same model without calibration.
void AddWorseThanUncalibrated(const SplitReport& with, const SplitReport& without,
                              std::vector<std::string>* remarks) {
  if (with.weighted_f1() >= without.weighted_f1() - kWorse) return;
  remarks->push_back(absl::StrFormat(
      "Worse than uncalibrated: weighted F1 on the test split fell from %.1f %% (uncalibrated) to "
      "%.1f %%.",
      100 * without.weighted_f1(), 100 * with.weighted_f1()));
}

}  // namespace

const SplitReport& ReportedSplit(const RunSummary& summary) {
  return summary.has_test() ? summary.test() : summary.valid();
}

std::string ReportedSplitName(const RunSummary& summary) {
  return summary.has_test() ? "test split" : "validation split";
}

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
  AddUnlabelled(summary, &remarks);
  AddNeverPredicted(summary.test(), &remarks);
  AddMissingClasses("training", summary.train(), &remarks);
  if (summary.has_valid()) AddMissingClasses("validation", summary.valid(), &remarks);
  AddMissingClasses("test", summary.test(), &remarks);
  if (summary.has_valid() && summary.has_test()) {
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
  AddCurriculum(run, &remarks);
  if (summary.has_uncalibrated()) {
    const SplitReport& with = summary.test();
    const SplitReport& without = summary.uncalibrated().test();
    AddWorseThanUncalibrated(with, without, &remarks);
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
