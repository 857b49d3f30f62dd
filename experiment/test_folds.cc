#include "experiment/test_folds.h"

#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/status.h"
#include "experiment/labels.h"
#include "metrics/calibration.h"
#include "metrics/classification.h"

namespace cmerc {
namespace {

using Folds = std::vector<const FinishedRun*>;

// What the folds of a run have in common: dataset, variant, whether it is the added model, seed.
using Key = std::tuple<std::string, std::string, bool, uint64_t>;

absl::Status Unusable(const FinishedRun& run, const std::string& why) {
  return absl::DataLossError(absl::StrCat(run.folder, "/test_predictions.jsonl: ", why,
                                          "; remove the folder of this run and run it again"));
}

// The shares of utterances surer without a source, in the order of the first fold.
void AddViews(const SplitReport& first, const TestViews& views, SplitReport* report) {
  for (const ViewReport& of_first : first.views()) {
    const auto without = views.without.find(of_first.view());
    if (without == views.without.end() || views.log_probs.empty()) continue;
    double surer = 0, rise = 0;
    for (size_t i = 0; i < views.log_probs.size(); ++i) {
      surer += without->second[i] > views.log_probs[i] ? 1 : 0;
      rise += without->second[i] - views.log_probs[i];
    }
    const auto utterances = static_cast<double>(views.log_probs.size());
    ViewReport* view = report->add_views();
    view->set_view(of_first.view());
    view->set_share_surer_without(surer / utterances);
    view->set_mean_log_prob_rise(rise / utterances);
  }
}

// The scores of the predictions of all folds together.
absl::StatusOr<SplitReport> ScoreTogether(const FinishedRun& pooled, const SplitReport& first,
                                          TestFiles* files) {
  ASSIGN_OR_RETURN(const TestPredictions* predictions, files->Predictions(pooled));
  ASSIGN_OR_RETURN(const TestViews* views, files->Views(pooled));
  std::vector<std::string> class_names, unscored;
  for (const ClassReport& one : first.classes()) class_names.push_back(one.name());
  const auto num_classes = static_cast<int64_t>(class_names.size());
  const std::vector<int64_t> labels(predictions->labels.begin(), predictions->labels.end());
  const std::vector<int64_t> predicted(predictions->predicted.begin(),
                                       predictions->predicted.end());
  ASSIGN_OR_RETURN(SplitReport report, ClassificationReport(labels, predicted, class_names));
  report.set_conversations(static_cast<int>(predictions->lengths.size()));
  ASSIGN_OR_RETURN(
      *report.mutable_calibration(),
      MeasureCalibration(predictions->log_probs, labels, num_classes, predictions->lengths));
  if (first.has_f1_without()) {
    unscored.assign(first.f1_without().classes().begin(), first.f1_without().classes().end());
    *report.mutable_f1_without() = F1WithoutClasses(report, unscored);
  }
  if (!predictions->calibrated_log_probs.empty()) {
    PostHocReport* temperature = report.add_post_hoc();
    temperature->set_method("temperature");  // of each fold its own
    temperature->set_accuracy(report.accuracy());
    temperature->set_weighted_f1(report.weighted_f1());
    ASSIGN_OR_RETURN(*temperature->mutable_calibration(),
                     MeasureCalibration(predictions->calibrated_log_probs, labels, num_classes,
                                        predictions->lengths));
  }
  AddViews(first, *views, &report);
  return report;
}

absl::StatusOr<FinishedRun> Pool(const Folds& folds, TestFiles* files) {
  const FinishedRun& first = *folds[0];
  FinishedRun pooled{first.dataset, first.base_variant, first.is_uncalibrated, first.seed, "", {}};
  double valid = 0;
  for (const FinishedRun* fold : folds) {
    pooled.fold_folders.push_back(fold->folder);
    valid += fold->summary.valid().weighted_f1() / static_cast<double>(folds.size());
    if (SameClasses(first.summary.test(), fold->summary.test())) continue;
    return Unusable(*fold, "its classes are not those of the first test fold");
  }
  pooled.folder = absl::StrJoin(pooled.fold_folders, ", ");
  pooled.summary.set_protocol(absl::StrCat(ShortProtocol(first.summary.protocol()),
                                           " (the validation split selects the epoch; ",
                                           folds.size(), " test folds scored together)"));
  pooled.summary.set_seed(first.seed);
  *pooled.summary.mutable_versions() = first.summary.versions();
  pooled.summary.set_backbone(first.summary.backbone());
  if (first.summary.has_calibrated()) {
    *pooled.summary.mutable_calibrated() = first.summary.calibrated();
  }
  pooled.summary.mutable_valid()->set_weighted_f1(valid);
  *pooled.summary.mutable_test() = first.summary.test();  // says the names of the classes
  absl::StatusOr<SplitReport> report = ScoreTogether(pooled, first.summary.test(), files);
  if (absl::IsInvalidArgument(report.status())) {
    return Unusable(first, std::string(report.status().message()));
  }
  ASSIGN_OR_RETURN(*pooled.summary.mutable_test(), std::move(report));
  return pooled;
}

}  // namespace

absl::StatusOr<PooledRuns> PoolTestFolds(const std::vector<PlannedRun>& planned,
                                         const std::vector<FinishedRun>& finished,
                                         TestFiles* files) {
  std::map<std::tuple<std::string, std::string, uint64_t>, size_t> wanted;
  for (const PlannedRun& run : planned) {
    if (run.test_fold.has_value()) ++wanted[{run.dataset, run.variant, run.seed}];
  }
  std::map<Key, Folds> folds;
  const auto key_of = [](const FinishedRun& run) {
    return Key(run.dataset, run.base_variant, run.is_uncalibrated, run.seed);
  };
  for (const FinishedRun& run : finished) {
    if (run.test_fold.has_value()) folds[key_of(run)].push_back(&run);
  }
  PooledRuns pooled;
  for (const FinishedRun& run : finished) {
    if (!run.test_fold.has_value()) {
      pooled.runs.push_back(run);
      continue;
    }
    const Folds& of_seed = folds.at(key_of(run));
    if (of_seed[0] != &run) continue;
    const size_t all = wanted[{run.dataset, run.base_variant, run.seed}];
    if (of_seed.size() == all) {
      ASSIGN_OR_RETURN(FinishedRun together, Pool(of_seed, files));
      pooled.runs.push_back(std::move(together));
    } else if (!run.is_uncalibrated) {
      pooled.remarks.push_back(absl::StrCat(run.dataset, run.dataset.empty() ? "" : "/",
                                            ShownVariant(run.base_variant), ": seed ", run.seed,
                                            " is left out: ", of_seed.size(), " of its ", all,
                                            " test folds have finished"));
    }
  }
  return pooled;
}

}  // namespace cmerc
