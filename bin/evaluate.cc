#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bin/acting_flags.h"
#include "bin/commands.h"
#include "bin/environment.h"
#include "bin/labelled_input.h"
#include "bin/output.h"
#include "bin/session.h"
#include "calibration/acting.h"
#include "calibration/evaluation.h"
#include "calibration/labelled.h"
#include "calibration/predictor.h"
#include "calibration/random_removal.h"
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
  ASSIGN_OR_RETURN(SplitPredictions all,
                   PredictSplit(*model.backbone, model.data, model.data.valid, {}, model.config));
  const SplitPredictions valid = OnlyLabelled(std::move(all), model.data.info.num_classes());
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

// What --missing and --seed say.
struct Removal {
  std::vector<double> rates;
  uint64_t seed = 1;
};

// InvalidArgument: a share is none, or --seed stands without --missing or is no number.
absl::StatusOr<Removal> RemovalOf(const Flags& flags) {
  Removal removal;
  if (flags.has("seed") && !flags.has("missing")) {
    return absl::InvalidArgumentError(
        "--seed says what --missing removes; add --missing=0.1,0.3,0.5,0.7, or leave it out");
  }
  if (flags.has("seed") && !absl::SimpleAtoi(flags.Get("seed"), &removal.seed)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--seed=", flags.Get("seed"), ", must be a whole number, 0 or more"));
  }
  if (!flags.has("missing")) return removal;
  for (const absl::string_view text : absl::StrSplit(flags.Get("missing"), ',')) {
    double rate = 0;
    if (!absl::SimpleAtod(text, &rate) || !(rate >= 0 && rate < 1)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--missing=", flags.Get("missing"), ": \"", text,
                       "\" is no share of modalities; each must be >= 0 and < 1, for example "
                       "--missing=0.1,0.3,0.5,0.7"));
    }
    removal.rates.push_back(rate);
  }
  return removal;
}

// Scores the same conversations with part of their modalities removed.
absl::Status ScoreRemoval(const Scored& scored, const Removal& removal,
                          EvaluationReport* evaluation) {
  if (removal.rates.empty()) return absl::OkStatus();
  RobustnessReport* report = evaluation->mutable_robustness();
  report->set_seed(removal.seed);
  for (const double rate : removal.rates) {
    ASSIGN_OR_RETURN(const ThinnedData thinned,
                     Annotate(ThinOut(scored.data, scored.indices, rate, removal.seed),
                              absl::StrCat("--missing=", rate)));
    MissingReport* entry = report->add_missing();
    entry->set_rate(rate);
    entry->set_removed(thinned.removed);
    ASSIGN_OR_RETURN(
        *entry->mutable_scores(),
        Score(
            {scored.backbone, thinned.data, scored.indices, scored.config, scored.temperature, {}},
            ActingFlags(), /*with_views=*/false));
  }
  return absl::OkStatus();
}

// What is asked for beside the scores.
struct Asked {
  ActingFlags acting;
  Removal removal;
  bool views;
};

// All that is asked for of the conversations in `scored`.
absl::StatusOr<SplitReport> ScoreAll(const Scored& scored, const Asked& asked,
                                     EvaluationReport* evaluation) {
  ASSIGN_OR_RETURN(SplitReport report, Score(scored, asked.acting, asked.views));
  RETURN_IF_ERROR(ScoreRemoval(scored, asked.removal, evaluation));
  return report;
}

// The scores of a split of the dataset that the config names; fills what `evaluation` says of it.
absl::StatusOr<SplitReport> ScoreSplit(const Flags& flags, const Asked& asked,
                                       const std::string& split, EvaluationReport* evaluation) {
  ASSIGN_OR_RETURN(const TrainedModel model, LoadTrainedModel(flags));
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices, ConversationsOf(split, model.data));
  RETURN_IF_ERROR(Annotate(CheckHasLabels(model.data, indices, "this split",
                                          "scores need some; `cmerc predict` answers without"),
                           absl::StrCat("--split=", split)));
  std::cout << "split     " << split << "\n\n";
  evaluation->set_split(split);
  evaluation->set_protocol(ProtocolDescription(model.config.data()));
  std::optional<SetCalibration> sets;
  if (asked.acting.coverage.has_value()) {
    ASSIGN_OR_RETURN(sets, CalibrationOfSets(flags, model));
    if (split != "test") {
      PrintWarnings({absl::StrCat(
          "the model was ",
          split == "valid" ? "selected, and its sets calibrated, on" : "trained on", " the ", split,
          " split: the coverage of sets there says nothing of new "
          "conversations")});
    }
  }
  return ScoreAll({*model.backbone, model.data, indices, model.config, model.temperature,
                   MakerOf(asked.acting, sets)},
                  asked, evaluation);
}

// The scores of the labelled conversations of --input; fills what `evaluation` says of them.
absl::StatusOr<SplitReport> ScoreInput(const Flags& flags, const Asked& asked,
                                       EvaluationReport* evaluation) {
  ASSIGN_OR_RETURN(const std::string checkpoint, CheckpointFlag(flags));
  ASSIGN_OR_RETURN(Predictor predictor, Predictor::Load(checkpoint, flags.All("set")));
  if (asked.acting.coverage.has_value() && !predictor.sets().has_value()) {
    return absl::InvalidArgumentError(WithoutSets(checkpoint, predictor.config()));
  }
  RETURN_IF_ERROR(CheckUnscoredClasses(predictor.config().data(), predictor.info()));
  RETURN_IF_ERROR(SetUpThreads(predictor.config()));
  const std::string input = flags.Get("input");
  ASSIGN_OR_RETURN(const PreparedData data, ReadLabelledInput(input, predictor));
  int64_t utterances = 0;
  for (const Conversation& conversation : data.conversations) utterances += conversation.length();
  const std::string protocol = ProtocolDescription(predictor.config().data());
  const int64_t unlabelled = CountUnlabelled(data, data.test);
  std::cout << "data      " << OneLine(input) << ", " << data.conversations.size()
            << " conversations (" << utterances << " utterances"
            << (unlabelled == 0 ? "" : absl::StrCat(", ", unlabelled, " unlabelled"))
            << ")\n          " << data.info.num_classes()
            << " classes: " << OneLine(absl::StrJoin(data.info.class_names, " ")) << "\nprotocol  "
            << protocol << "\n\n";
  evaluation->mutable_input()->set_value(input);
  evaluation->set_protocol(protocol);
  return ScoreAll({predictor.backbone(), data, data.test, predictor.config(),
                   predictor.temperature(), MakerOf(asked.acting, predictor.sets())},
                  asked, evaluation);
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

// A line for each share that was removed, the one of all evidence first.
void Print(const SplitReport& all, const RobustnessReport& robustness) {
  std::cout << "\nmodalities of utterances removed at random, seed " << robustness.seed()
            << "; each utterance keeps one\n removed   weighted F1   ECE      after temperature\n";
  const auto print = [](double removed, const SplitReport& scores) {
    std::cout << absl::StrFormat("%6.1f %%   %9.2f %%   %5.2f %%", 100 * removed,
                                 100 * scores.weighted_f1(), 100 * scores.calibration().ece());
    if (scores.post_hoc_size() > 0) {
      std::cout << absl::StrFormat("  %5.2f %%", 100 * scores.post_hoc(0).calibration().ece());
    }
    std::cout << "\n";
  };
  print(0, all);
  for (const MissingReport& entry : robustness.missing()) print(entry.removed(), entry.scores());
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
  ASSIGN_OR_RETURN(const Removal removal, RemovalOf(flags));
  const Asked asked = {acting, removal, flags.has("views")};
  RETURN_IF_ERROR(CheckOutput(flags, OutputKind::kScores));
  EvaluationReport evaluation;
  evaluation.set_checkpoint(flags.Get("checkpoint"));
  ASSIGN_OR_RETURN(const SplitReport report, flags.has("input")
                                                 ? ScoreInput(flags, asked, &evaluation)
                                                 : ScoreSplit(flags, asked, split, &evaluation));
  Print(report);
  if (evaluation.has_robustness()) Print(report, evaluation.robustness());
  if (!flags.has("output")) return absl::OkStatus();
  const std::map<std::string, std::string> versions = Versions();
  evaluation.mutable_versions()->insert(versions.begin(), versions.end());
  *evaluation.mutable_scores() = report;
  return WriteFileAtomically(flags.Get("output"), ToJson(evaluation, /*pretty=*/true));
}

}  // namespace cmerc
