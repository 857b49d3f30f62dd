#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bin/acting_flags.h"
#include "bin/commands.h"
#include "bin/environment.h"
#include "bin/labelled_input.h"
#include "bin/output.h"
#include "bin/session.h"
#include "calibration/acting.h"
#include "calibration/evaluation.h"
#include "calibration/predictor.h"
#include "calibration/weighted_losses.h"
#include "core/printable.h"
#include "core/status.h"
#include "metrics/acting_text.h"
#include "metrics/conformal.h"
#include "metrics/json.h"
#include "metrics/text_report.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

// What is scored: conversations of `data`, with a model.
struct Scored {
  Backbone& backbone;
  const PreparedData& data;
  const std::vector<int64_t>& indices;
  const RunConfig& config;
  std::optional<double> temperature;
  std::optional<SetMaker> sets;
};

// The sets that `acting` asks for, made from `calibration`, which is there where it does.
std::optional<SetMaker> MakerOf(const ActingFlags& acting,
                                const std::optional<SetCalibration>& calibration) {
  if (!acting.coverage.has_value()) return std::nullopt;
  return SetMaker(*calibration, acting.method, *acting.coverage);
}

// What the sets of `model` are made from: what its checkpoint carries, or else scores of the
// validation split of its data. InvalidArgument: there is neither.
absl::StatusOr<std::optional<SetCalibration>> CalibrationOfSets(const Flags& flags,
                                                                const TrainedModel& model) {
  if (model.sets.has_value()) return model.sets;
  // What a model was trained on says nothing of what it has not seen.
  if (model.protocol == DataConfig::OFFICIAL || model.data.valid.empty()) {
    RunConfig config = model.config;
    config.mutable_data()->set_protocol(DataConfig::OFFICIAL);
    return absl::InvalidArgumentError(WithoutSets(flags.Get("checkpoint"), config));
  }
  PrintWarnings({absl::StrCat(flags.Get("checkpoint"),
                              " carries no scores of a validation split; sets are calibrated on "
                              "that of the data set now, which the model must not have been "
                              "trained on")});
  ASSIGN_OR_RETURN(const SplitPredictions valid,
                   PredictSplit(*model.backbone, model.data, model.data.valid, {}, model.config));
  return CalibrateSets({valid.log_probs, valid.labels, valid.lengths},
                       model.data.info.num_classes());
}

// The scores, those without each source of evidence with `with_views`, and those after temperature
// scaling where the checkpoint has a temperature; and what `acting` asks for.
absl::StatusOr<SplitReport> Score(const Scored& scored, const ActingFlags& acting,
                                  bool with_views) {
  const DatasetInfo& info = scored.data.info;
  ASSIGN_OR_RETURN(const std::vector<WeightedLoss> losses, MakeLosses(scored.config, info));
  ASSIGN_OR_RETURN(const SplitPredictions predictions,
                   PredictSplit(scored.backbone, scored.data, scored.indices, losses, scored.config,
                                with_views ? AllViews(info) : std::vector<View>{}));
  ASSIGN_OR_RETURN(SplitReport report, ScorePredictions(predictions, info));
  if (scored.temperature.has_value()) {
    ASSIGN_OR_RETURN(*report.add_post_hoc(),
                     ScoreRemedy({"temperature", {*scored.temperature}}, predictions, info));
  }
  if (scored.sets.has_value()) {
    *report.mutable_sets()->add_methods() = ScoreSets(*scored.sets, predictions, info);
  }
  if (acting.abstain_below.has_value()) {
    *report.mutable_risk_coverage() =
        ScoreRiskCoverage(predictions, info, scored.temperature, report, acting.abstain_below);
  }
  return report;
}

// The scores of a split of the dataset that the config names; fills what `evaluation` says of it.
absl::StatusOr<SplitReport> ScoreSplit(const Flags& flags, const ActingFlags& acting,
                                       const std::string& split, EvaluationReport* evaluation) {
  ASSIGN_OR_RETURN(const TrainedModel model, LoadTrainedModel(flags));
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices, ConversationsOf(split, model.data));
  std::cout << "split     " << split << "\n\n";
  evaluation->set_split(split);
  evaluation->set_protocol(ProtocolDescription(model.config.data()));
  std::optional<SetCalibration> sets;
  if (acting.coverage.has_value()) {
    ASSIGN_OR_RETURN(sets, CalibrationOfSets(flags, model));
    if (split != "test") {
      PrintWarnings({absl::StrCat(
          "the model was ",
          split == "valid" ? "selected, and its sets calibrated, on" : "trained on", " the ", split,
          " split: the coverage of sets there says nothing of new "
          "conversations")});
    }
  }
  return Score({*model.backbone, model.data, indices, model.config, model.temperature,
                MakerOf(acting, sets)},
               acting, flags.has("views"));
}

// The scores of the labelled conversations of --input; fills what `evaluation` says of them.
absl::StatusOr<SplitReport> ScoreInput(const Flags& flags, const ActingFlags& acting,
                                       EvaluationReport* evaluation) {
  ASSIGN_OR_RETURN(const std::string checkpoint, CheckpointFlag(flags));
  ASSIGN_OR_RETURN(Predictor predictor, Predictor::Load(checkpoint, flags.All("set")));
  if (acting.coverage.has_value() && !predictor.sets().has_value()) {
    return absl::InvalidArgumentError(WithoutSets(checkpoint, predictor.config()));
  }
  RETURN_IF_ERROR(CheckUnscoredClasses(predictor.config().data(), predictor.info()));
  RETURN_IF_ERROR(SetUpThreads(predictor.config()));
  const std::string input = flags.Get("input");
  ASSIGN_OR_RETURN(const PreparedData data, ReadLabelledInput(input, predictor));
  int64_t utterances = 0;
  for (const Conversation& conversation : data.conversations) utterances += conversation.length();
  const std::string protocol = ProtocolDescription(predictor.config().data());
  std::cout << "data      " << OneLine(input) << ", " << data.conversations.size()
            << " conversations (" << utterances << " utterances)\n          "
            << data.info.num_classes()
            << " classes: " << OneLine(absl::StrJoin(data.info.class_names, " ")) << "\nprotocol  "
            << protocol << "\n\n";
  evaluation->mutable_input()->set_value(input);
  evaluation->set_protocol(protocol);
  return Score({predictor.backbone(), data, data.test, predictor.config(), predictor.temperature(),
                MakerOf(acting, predictor.sets())},
               acting, flags.has("views"));
}

void Print(const SplitReport& report) {
  std::cout << FormatSplitReport(report) << "\n" << FormatCalibration(report);
  if (!report.views().empty()) std::cout << "\n";
  for (const ViewReport& view : report.views()) {
    std::cout << absl::StrFormat(
        "without %-16s %5.1f %% of utterances are surer of the truth; mean rise of its "
        "log-probability %+.4f\n",
        OneLine(view.view()), 100 * view.share_surer_without(), view.mean_log_prob_rise());
  }
  for (const SetReport& one : report.sets().methods()) std::cout << "\n" << FormatSets(one);
  if (report.has_risk_coverage()) std::cout << "\n" << FormatRiskCoverage(report.risk_coverage());
}

}  // namespace

absl::Status EvaluateCommand(const Flags& flags) {
  ASSIGN_OR_RETURN(const std::string split, SplitFlag(flags));
  ASSIGN_OR_RETURN(const ActingFlags acting, ActingFlags::Of(flags));
  for (const char* flag : {"config", "split"}) {
    if (!flags.has("input") || !flags.has(flag)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, " says which dataset to score, and --input=", flags.Get("input"),
                     " which conversations; keep one"));
  }
  RETURN_IF_ERROR(CheckOutput(flags, OutputKind::kScores));
  EvaluationReport evaluation;
  evaluation.set_checkpoint(flags.Get("checkpoint"));
  ASSIGN_OR_RETURN(const SplitReport report, flags.has("input")
                                                 ? ScoreInput(flags, acting, &evaluation)
                                                 : ScoreSplit(flags, acting, split, &evaluation));
  Print(report);
  if (!flags.has("output")) return absl::OkStatus();
  const std::map<std::string, std::string> versions = Versions();
  evaluation.mutable_versions()->insert(versions.begin(), versions.end());
  *evaluation.mutable_scores() = report;
  return WriteFileAtomically(flags.Get("output"), ToJson(evaluation, /*pretty=*/true));
}

}  // namespace cmerc
