// Scores, schedules and difficulties for PyTorch. Reports are JSON with the names of
// metrics/report.proto, as in the files of a run.
#include <google/protobuf/util/json_util.h>
#include <torch/library.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "calibration/acting.h"
#include "calibration/difficulty.h"
#include "calibration/evaluation.h"
#include "calibration/held_out.h"
#include "calibration/scaled_views.h"
#include "config/catalogue.h"
#include "config/loader.h"
#include "config/run.pb.h"
#include "core/backbone.h"
#include "core/batch.h"
#include "core/scheduler.h"
#include "core/status.h"
#include "metrics/calibration.h"
#include "metrics/conformal.h"
#include "metrics/evidence.h"
#include "metrics/evidence_measures.h"
#include "metrics/json.h"
#include "metrics/text_report.h"
#include "python/arguments.h"

namespace cmerc::python {
namespace {

using torch::Tensor;

std::vector<double> Numbers(const Tensor& tensor) {
  const Tensor values = tensor.detach().to(torch::kCPU, torch::kFloat64).contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

// The predictions of a split: conversations of `lengths` utterances, one after the other.
SplitPredictions SplitOf(const Tensor& log_probs, const Tensor& labels,
                         const std::vector<int64_t>& lengths, const std::vector<View>& views,
                         const std::vector<Tensor>& view_log_probs) {
  CheckLogProbs("log_probs", log_probs);
  if (views.size() != view_log_probs.size()) {
    throw std::invalid_argument(absl::StrCat("there are ", view_log_probs.size(),
                                             " view_log_probs for ", views.size(), " views"));
  }
  int64_t sum = 0;
  for (const int64_t length : lengths) {
    if (length < 1) {
      throw std::invalid_argument(absl::StrCat("lengths has ", length, ", want 1 or more"));
    }
    sum += length;
  }
  if (!lengths.empty() && sum != log_probs.size(0)) {
    throw std::invalid_argument(absl::StrCat("the sum of lengths is ", sum, ", want ",
                                             log_probs.size(0), ", the rows of log_probs"));
  }
  SplitPredictions split;
  split.conversations = static_cast<int64_t>(lengths.size());
  split.lengths = lengths;
  const Tensor truth =
      CheckedLabels(labels.cpu(), log_probs.size(0), log_probs.size(1)).contiguous();
  split.labels.assign(truth.data_ptr<int64_t>(), truth.data_ptr<int64_t>() + truth.numel());
  split.log_probs = Numbers(log_probs);
  split.views = views;
  for (size_t v = 0; v < views.size(); ++v) {
    if (view_log_probs[v].sizes() != log_probs.sizes()) {
      throw std::invalid_argument(absl::StrCat("log_probs without ", views[v].name(),
                                               " are not of the shape of log_probs"));
    }
    split.view_log_probs.push_back(Numbers(view_log_probs[v]));
  }
  return split;
}

// Fills what a validation split says of the scores of a test split, as a run does it; returns the
// temperature of the remedy with this name, where there is one.
absl::StatusOr<std::optional<double>> AddHeldOut(const SplitPredictions& valid,
                                                 const SplitPredictions& test,
                                                 const DatasetInfo& info, double coverage,
                                                 RunSummary* summary) {
  ASSIGN_OR_RETURN(*summary->mutable_valid(), ScorePredictions(valid, info));
  ASSIGN_OR_RETURN(const HeldOut held_out, FitHeldOut(valid, info, summary));
  RETURN_IF_ERROR(ScoreHeldOut(held_out, test, info, coverage, summary->mutable_test()));
  if (!test.views.empty() && valid.views == test.views) {
    ASSIGN_OR_RETURN(
        const std::vector<ScaledViewsReport> scaled,
        MeasureScaledViews(OnlyLabelled(valid, info.num_classes()), test, info.num_classes()));
    for (const ScaledViewsReport& one : scaled) *summary->add_scaled_views() = one;
  }
  return held_out.temperature;
}

void CheckCoverage(double coverage) {
  if (coverage > 0 && coverage < 1) return;
  throw std::invalid_argument(absl::StrCat("coverage = ", coverage, ", must be > 0 and < 1"));
}

// A RunSummary as JSON that has what can be said of these predictions: `test`, and with those of a
// validation split (not of 0 rows) `valid` and all that follows from it.
std::string Evaluate(const Tensor& log_probs, const Tensor& labels,
                     const std::vector<int64_t>& lengths, const std::vector<std::string>& views,
                     const std::vector<Tensor>& view_log_probs, const Tensor& valid_log_probs,
                     const Tensor& valid_labels, const std::vector<int64_t>& valid_lengths,
                     const std::vector<Tensor>& valid_view_log_probs,
                     const std::vector<std::string>& modalities,
                     const std::vector<std::string>& class_names, double coverage) {
  CheckLogProbs("log_probs", log_probs);
  CheckCoverage(coverage);
  const DatasetInfo info = InfoOf(modalities, class_names, {});
  if (info.num_classes() != log_probs.size(1)) {
    throw std::invalid_argument(absl::StrCat("there are ", class_names.size(), " class_names (",
                                             absl::StrJoin(class_names, ", "), ") for ",
                                             log_probs.size(1), " columns of log_probs"));
  }
  const std::vector<View> of_test = ViewsCalled(views, info);
  const SplitPredictions test = SplitOf(log_probs, labels, lengths, of_test, view_log_probs);
  RunSummary summary;
  *summary.mutable_test() = ValueOf(ScorePredictions(test, info));
  std::optional<double> temperature;
  if (valid_log_probs.size(0) > 0) {
    if (valid_log_probs.dim() != 2 || valid_log_probs.size(1) != log_probs.size(1)) {
      throw std::invalid_argument("log_probs of the validation split have other classes");
    }
    const std::vector<View> of_valid = valid_view_log_probs.empty() ? std::vector<View>() : of_test;
    temperature = ValueOf(AddHeldOut(
        SplitOf(valid_log_probs, valid_labels, valid_lengths, of_valid, valid_view_log_probs), test,
        info, coverage, &summary));
  }
  *summary.mutable_test()->mutable_risk_coverage() =
      ScoreRiskCoverage(test, info, temperature, summary.test());
  return ToJson(summary, /*pretty=*/false);
}

// A CalibrationReport as JSON. Utterances without a label are left out.
std::string CalibrationOf(const Tensor& log_probs, const Tensor& labels,
                          const std::vector<int64_t>& lengths) {
  const int64_t num_classes = log_probs.dim() == 2 ? log_probs.size(1) : 0;
  const SplitPredictions split =
      OnlyLabelled(SplitOf(log_probs, labels, lengths, {}, {}), num_classes);
  return ToJson(
      ValueOf(MeasureCalibration(split.log_probs, split.labels, num_classes, split.lengths)),
      /*pretty=*/false);
}

// A ViewReport as JSON: what the evidence is worth that `view_log_probs` are without.
std::string EvidenceOf(const Tensor& log_probs, const Tensor& view_log_probs,
                       const Tensor& labels) {
  const int64_t num_classes = log_probs.dim() == 2 ? log_probs.size(1) : 0;
  const SplitPredictions split = OnlyLabelled(
      SplitOf(log_probs, labels, {}, {{View::Kind::kSameSpeaker, {}}}, {view_log_probs}),
      num_classes);
  return ToJson(
      ValueOf(MeasureEvidence(split.log_probs, split.view_log_probs[0], split.labels, num_classes)),
      /*pretty=*/false);
}

// [N, C] bool: which classes are in the set of each row of `log_probs` [N, C], for sets that are
// calibrated on the conversations of a validation split.
Tensor PredictionSets(const Tensor& valid_log_probs, const Tensor& valid_labels,
                      const std::vector<int64_t>& valid_lengths, const Tensor& log_probs,
                      double coverage, const std::string& method) {
  CheckLogProbs("log_probs", log_probs);
  CheckCoverage(coverage);
  const std::vector<std::string>& names = SetMethodNames();
  const auto named = std::find(names.begin(), names.end(), method);
  if (named == names.end()) {
    throw std::invalid_argument(
        absl::StrCat("method = \"", method, "\", must be one of ", absl::StrJoin(names, ", ")));
  }
  const int64_t num_classes = log_probs.size(1);
  const SplitPredictions valid = SplitOf(valid_log_probs, valid_labels, valid_lengths, {}, {});
  const SetMaker maker(
      ValueOf(CalibrateSets({valid.log_probs, valid.labels, valid.lengths}, num_classes)),
      static_cast<SetMethod>(named - names.begin()), coverage);
  const std::vector<double> rows = Numbers(log_probs);
  Tensor sets = torch::zeros({log_probs.size(0), num_classes}, torch::kBool);
  for (int64_t i = 0; i < log_probs.size(0); ++i) {
    const auto width = static_cast<size_t>(num_classes);
    const auto row = absl::MakeConstSpan(rows).subspan(static_cast<size_t>(i) * width, width);
    for (const int64_t c : maker.SetOf(row)) sets.data_ptr<bool>()[i * num_classes + c] = true;
  }
  return sets;
}

// A message of metrics/report.proto that Evaluate() has written. Throws std::invalid_argument, with
// `what` it should be, for anything else.
template <typename Report>
Report ReportOf(const std::string& json, const std::string& what) {
  Report report;
  const auto status = google::protobuf::util::JsonStringToMessage(json, &report);
  if (!status.ok()) {
    throw std::invalid_argument(absl::StrCat("no ", what, ": ", status.ToString()));
  }
  return report;
}

// A SplitReport, as Evaluate() writes it, as tables for people: with the calibration's.
std::string Table(const std::string& split_report) {
  const auto report = ReportOf<SplitReport>(split_report, "report of a split");
  return absl::StrCat(FormatSplitReport(report), "\n", FormatCalibration(report));
}

// The tables that `cmerc train` ends with: a calibrated run beside one that is not. Both are of
// Evaluate().
std::string Compare(const std::string& calibrated, const std::string& uncalibrated) {
  return FormatComparison(ReportOf<RunSummary>(calibrated, "summary of a run"),
                          ReportOf<RunSummary>(uncalibrated, "summary of a run"));
}

// The measures of evidence (metrics/evidence_measures.h) of a SplitReport, by name, as means over
// its views; none that a view lacks.
c10::Dict<std::string, double> MeansOverViews(const std::string& split_report) {
  const auto report = ReportOf<SplitReport>(split_report, "report of a split");
  c10::Dict<std::string, double> means;
  for (const EvidenceMeasure& measure : EvidenceMeasures()) {
    const std::optional<double> mean = MeanOverViews(report, measure);
    if (mean.has_value()) means.insert(measure.name, *mean);
  }
  return means;
}

// [K] int64: the conversations of an epoch, of difficulties [n].
Tensor Schedule(const std::string& options, int64_t epoch, const Tensor& difficulties) {
  CurriculumConfig config;
  ThrowUnlessOk(ReadText(absl::StrCat("scheduler { ", options, " }"), "scheduler", &config));
  const auto scheduler = ValueOf(Schedulers().Create(config.scheduler()));
  if (epoch < 0) {
    throw std::invalid_argument(absl::StrCat("epoch = ", epoch, ", want 0, 1, ..."));
  }
  if (difficulties.dim() != 1 || !difficulties.is_floating_point() ||
      !difficulties.isfinite().all().item<bool>()) {
    throw std::invalid_argument("difficulties must be [n] of finite floating-point numbers");
  }
  const Tensor values = difficulties.detach().to(torch::kCPU, torch::kFloat32).contiguous();
  const std::vector<int64_t> chosen =
      scheduler->Select(epoch, {values.data_ptr<float>(), static_cast<size_t>(values.numel())});
  return torch::tensor(chosen, torch::kInt64);
}

// Predictions that are at hand, as a backbone: of a batch in full and then without each view.
class AtHand final : public Backbone {
 public:
  AtHand(const DatasetInfo& info, std::vector<Prediction> predictions)
      : Backbone(info), predictions_(std::move(predictions)) {}

 private:
  Prediction ForwardImpl(const Batch& /*batch*/) override { return predictions_[0]; }
  std::vector<Prediction> ForwardAllImpl(absl::Span<const Batch> batches) override {
    return {predictions_.begin(), predictions_.begin() + static_cast<int64_t>(batches.size())};
  }

  const std::vector<Prediction> predictions_;
};

// The difficulty of one conversation (calibration/difficulty.h) whose speakers are `num_speakers`.
double Difficulty(const Tensor& log_probs, const std::vector<Tensor>& view_log_probs,
                  const Tensor& labels, int64_t num_speakers) {
  if (num_speakers < 1) {
    throw std::invalid_argument(absl::StrCat("num_speakers = ", num_speakers, ", want 1 or more"));
  }
  // Which views they are does not matter. Those of context, which a conversation always has, are
  // the full prediction, which adds nothing to a difficulty.
  std::vector<std::string> modalities;
  for (size_t v = 0; v < view_log_probs.size(); ++v) modalities.push_back(absl::StrCat("view ", v));
  CheckLogProbs("log_probs", log_probs);
  DatasetInfo info = InfoOf(modalities, Numbered(log_probs.size(1)), {});
  info.num_speakers = num_speakers;
  const int64_t length = log_probs.size(0);
  const Tensor features = torch::zeros({length, 1});
  const Prediction full = {log_probs.detach(), features};
  std::vector<Prediction> predictions = {full};
  Conversation conversation;
  for (const Tensor& view : view_log_probs) {
    predictions.push_back({view.detach(), features});
    conversation.features.push_back({features});
  }
  predictions.insert(predictions.end(), ContextViews().size(), full);
  conversation.labels = CheckedLabels(labels.cpu(), length, log_probs.size(1));
  conversation.speakers = torch::zeros({length}, torch::kInt64);
  conversation.speakers[0] = num_speakers - 1;
  AtHand backbone(info, std::move(predictions));
  return ValueOf(DifficultyOf(backbone, MakeBatch({conversation}, info), CalibrationConfig()));
}

// What can be written where options are asked for: all plugins, or those called `name`.
std::string Plugins(const std::string& name) {
  return name.empty() ? Catalogue() : ValueOf(Catalogue(name));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(cmerc, library) {
  library.def(
      "evaluate(Tensor log_probs, Tensor labels, int[] lengths, str[] views, Tensor[] "
      "view_log_probs, Tensor valid_log_probs, Tensor valid_labels, int[] valid_lengths, Tensor[] "
      "valid_view_log_probs, str[] modalities, str[] class_names, float coverage) -> str",
      &Evaluate);
  library.def("calibration(Tensor log_probs, Tensor labels, int[] lengths) -> str", &CalibrationOf);
  library.def("evidence(Tensor log_probs, Tensor view_log_probs, Tensor labels) -> str",
              &EvidenceOf);
  library.def(
      "prediction_sets(Tensor valid_log_probs, Tensor valid_labels, int[] valid_lengths, Tensor "
      "log_probs, float coverage, str method) -> Tensor",
      &PredictionSets);
  library.def("table(str split_report) -> str", &Table);
  library.def("compare(str calibrated, str uncalibrated) -> str", &Compare);
  library.def("means_over_views(str split_report) -> Dict(str, float)", &MeansOverViews);
  library.def("schedule(str options, int epoch, Tensor difficulties) -> Tensor", &Schedule);
  library.def(
      "difficulty(Tensor log_probs, Tensor[] view_log_probs, Tensor labels, int num_speakers) -> "
      "float",
      &Difficulty);
  library.def("plugins(str name) -> str", &Plugins);
}

}  // namespace cmerc::python
