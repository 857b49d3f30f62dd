#include <unistd.h>

#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bin/acting_flags.h"
#include "bin/commands.h"
#include "bin/conversation_input.h"
#include "bin/output.h"
#include "bin/predict_options.h"
#include "bin/predict_output.h"
#include "bin/predict_part.h"
#include "bin/predict_stream.h"
#include "bin/predict_work.h"
#include "bin/session.h"
#include "calibration/predictor.h"
#include "core/printable.h"
#include "core/status.h"
#include "datasets/formats/json_lines.h"
#include "profile/progress.h"
#include "storage/checkpoint.h"

namespace cmerc {
namespace {

// Whether to show a progress bar: on a terminal it must not get between the results.
bool ShowsProgress(const std::string& output) {
  return output != "-" || isatty(STDOUT_FILENO) == 0;
}

// The next conversation that can be predicted; nullopt at the end.
absl::StatusOr<std::optional<InputConversation>> NextOf(ConversationInput& input,
                                                        const Predictor& predictor,
                                                        const OptionalKeys& keys) {
  ASSIGN_OR_RETURN(std::optional<InputConversation> next, input.Next(predictor));
  if (next.has_value()) {
    RETURN_IF_ERROR(Annotate(CheckKeys(next->record, keys), input.Place(next->record)));
  }
  return next;
}

// Shows how far the work on `input` has got.
void Show(const Work& work, ConversationInput& input, const InputPart& part, Progress& progress) {
  const std::optional<double> share = part.is_whole ? input.ShareRead() : std::optional<double>();
  if (share.has_value()) {
    progress.UpdateShare(work.done(), *share);
  } else {
    progress.Update(work.done(), "");
  }
}

// Predicts the conversations of `input` up to the end of `part`, and counts in `skipped` what
// `options` let it leave out.
absl::Status PredictAll(ConversationInput& input, const InputOptions& options,
                        const InputPart& part, bool shows_progress, Work& work, int64_t* skipped) {
  KeyWarnings key_warnings;
  std::optional<Progress> progress;
  if (shows_progress) {
    progress.emplace("predict", part.is_whole ? Progress::kUnknown : part.left(), "conversation");
  }
  while (work.added() < part.left()) {
    // Nobody waits for an answer until somebody else has sent more.
    if (!input.NextIsThere()) {
      const absl::Status predicted = work.PredictWaiting();
      if (!predicted.ok()) return work.Stop(predicted);
    }
    absl::StatusOr<std::optional<InputConversation>> next =
        NextOf(input, work.predictor(), options.keys);
    const bool can_skip = absl::IsInvalidArgument(next.status()) && input.can_go_on();
    absl::Status problem = next.status();
    if (can_skip && options.skip) {
      progress.reset();  // messages show that it goes on, and a bar would be in their way
      std::cerr << "skipped: " << Printable(problem.message()) << "\n";
      problem = options.limit.CheckSoFar(++*skipped);
      if (problem.ok()) continue;
    } else if (can_skip) {
      problem = absl::Status(
          problem.code(),
          absl::StrCat(problem.message(), "\n--on_error=SKIP leaves out what cannot be predicted"));
    }
    if (!problem.ok()) {
      const absl::Status predicted = work.PredictWaiting();
      return work.Stop(predicted.ok() ? problem : predicted);
    }
    if (!next->has_value()) return absl::OkStatus();
    for (const std::string& warning :
         {input.TakeWarning(), key_warnings.Of((*next)->record, input.Place((*next)->record))}) {
      if (warning.empty()) continue;
      progress.reset();
      PrintWarnings({warning});
    }
    const absl::Status added =
        work.Add(std::move((*next)->conversation), std::move((*next)->record));
    if (!added.ok()) return work.Stop(added);
    if (progress.has_value()) Show(work, input, part, *progress);
  }
  return absl::OkStatus();
}

// InvalidArgument: nothing has been predicted, or too much of it left out.
absl::Status CheckAnswers(const ConversationInput& input, const InputOptions& options,
                          int64_t predicted, int64_t skipped) {
  if (predicted > 0) return options.limit.CheckAtEnd(skipped, skipped + predicted);
  if (skipped == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(input.name(), " is empty: there is no conversation to predict"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("nothing was predicted: all ", skipped, " conversations of ", input.name(),
                   " were skipped; docs/predict.md shows what they must have"));
}

// Goes over up to `count` conversations that another process, or an earlier one, predicts, and
// counts in `skipped` those that `options` let it leave out. Returns how many there were. Errors
// are those of reading on.
absl::StatusOr<int64_t> GoOver(ConversationInput& input, int64_t count, const InputOptions& options,
                               const Predictor& predictor, int64_t* skipped) {
  Progress progress("go over what others predict", count, "conversation");
  for (int64_t gone = 0; gone < count; progress.Update(gone, "")) {
    bool found = true;
    if (options.skip) {
      const absl::StatusOr<std::optional<InputConversation>> next =
          NextOf(input, predictor, options.keys);
      if (absl::IsInvalidArgument(next.status()) && input.can_go_on()) {
        ++*skipped;
        continue;
      }
      RETURN_IF_ERROR(next.status());
      found = next->has_value();
    } else {
      ASSIGN_OR_RETURN(found, input.Skip());
    }
    if (!found) return gone;
    ++gone;
  }
  return count;
}

// Goes over what comes before `part`, and what is written of it already. InvalidArgument: more is
// written than there is. Other errors are those of GoOver().
absl::Status GoToPart(ConversationInput& input, const InputOptions& options,
                      const Predictor& predictor, const InputPart& part, int64_t* skipped) {
  if (part.written > part.range.size()) {
    return MoreThanThereIs(part.output, part.written, part.range.size());
  }
  int64_t of_others = 0;
  ASSIGN_OR_RETURN(const int64_t before,
                   GoOver(input, part.range.begin, options, predictor, &of_others));
  if (before < part.range.begin && part.written > 0) {
    return MoreThanThereIs(part.output, part.written, 0);
  }
  ASSIGN_OR_RETURN(const int64_t known, GoOver(input, part.known, options, predictor, skipped));
  if (known < part.known) return MoreThanThereIs(part.output, part.written, known);
  return absl::OkStatus();
}

// How many conversations are predicted together. Those of a stream come as they like, so that where
// batch mates matter each is predicted by itself; `warning` says so.
int64_t BatchSizeFor(const ConversationInput& input, const Predictor& predictor,
                     std::string* warning) {
  const int64_t batch_size = predictor.config().training().batch_size();
  if (!input.is_stream() || batch_size == 1 || !predictor.BatchMatesMatter()) return batch_size;
  *warning = absl::StrCat(
      "batch mates matter to this model (semantics: OFFICIAL), and those of a stream are left to "
      "chance: each conversation is predicted by itself; those of a file ",
      batch_size, " at a time, as evaluate does");
  return 1;
}

// Predicts the conversations of --input.
absl::Status PredictInput(const Flags& flags, const std::string& output_name,
                          const InputOptions& options, const ActingFlags& acting) {
  ASSIGN_OR_RETURN(ConversationInput input,
                   ConversationInput::Open(flags.Get("input"), options.unknown_keys));
  ASSIGN_OR_RETURN(InputPredictor model, LoadInputPredictor(flags));
  Predictor predictor = std::move(model.predictor);
  RETURN_IF_ERROR(acting.LetAnswer(flags.Get("checkpoint"), &predictor));
  const std::vector<View> views =
      flags.has("explain") ? AllViews(predictor.info()) : std::vector<View>{};
  std::string alone;
  const int64_t batch_size = BatchSizeFor(input, predictor, &alone);
  ASSIGN_OR_RETURN(InputPart part, PartOfInput(flags, batch_size));
  ASSIGN_OR_RETURN(PredictOutput output,
                   part.file != nullptr
                       ? PredictOutput::Resume(std::move(part.file), part.known)
                       : PredictOutput::Open(output_name, predictor.info(), views, options.keys));
  int64_t skipped = 0;
  RETURN_IF_ERROR(GoToPart(input, options, predictor, part, &skipped));
  Work work(std::move(predictor), batch_size, views, std::move(output));
  for (const std::string& warning : {model.uncalibrated, alone}) {
    if (!warning.empty()) work.WarnWithAnswers(warning);
  }
  RETURN_IF_ERROR(PredictAll(input, options, part, ShowsProgress(output_name), work, &skipped));
  const absl::Status last = work.PredictWaiting();
  if (!last.ok()) return work.Stop(last);
  const int64_t all = part.written + work.conversations();
  // A part that begins behind others may have nothing.
  const absl::Status answers = all == 0 && part.range.begin > 0
                                   ? absl::OkStatus()
                                   : CheckAnswers(input, options, all, skipped);
  if (all == 0 && !answers.ok()) return answers;
  RETURN_IF_ERROR(work.Finish());
  std::cerr << work.Summary();
  if (options.skip) std::cerr << ", " << skipped << " skipped";
  std::cerr << "\n";
  return answers;
}

// InvalidArgument: --require_calibrated is given, and the checkpoint has no temperature.
absl::Status CheckCalibrated(const Flags& flags) {
  if (!flags.has("require_calibrated")) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string path, CheckpointFlag(flags));
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadCheckpoint(path));
  if (checkpoint.metadata.has_value() && checkpoint.metadata->has_temperature()) {
    return absl::OkStatus();
  }
  const RunConfig config =
      checkpoint.metadata.has_value() ? checkpoint.metadata->config() : RunConfig();
  return BadFlag("require_calibrated", ": " + WithoutTemperature(path, config));
}

// Predicts a split of the dataset that the checkpoint's config, or --config, names.
absl::Status PredictDataset(const Flags& flags, const std::string& output_name,
                            const ActingFlags& acting) {
  ASSIGN_OR_RETURN(const std::string split, SplitFlag(flags));
  RETURN_IF_ERROR(CheckCalibrated(flags));
  std::ostream nowhere(nullptr);
  ASSIGN_OR_RETURN(TrainedModel model, LoadTrainedModel(flags, nowhere));
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices, ConversationsOf(split, model.data));
  const std::vector<View> views =
      flags.has("explain") ? AllViews(model.data.info) : std::vector<View>{};
  // The features of model.data have been standardized.
  Predictor predictor(model.backbone, {model.config, std::nullopt, model.temperature,
                                       model.data.means, model.sets});
  RETURN_IF_ERROR(acting.LetAnswer(flags.Get("checkpoint"), &predictor));
  const int64_t batch_size = model.config.training().batch_size();
  ASSIGN_OR_RETURN(InputPart part, PartOf(flags, static_cast<int64_t>(indices.size()), batch_size));
  if (part.written > part.range.size()) {
    return MoreThanThereIs(output_name, part.written, part.range.size());
  }
  ASSIGN_OR_RETURN(PredictOutput output,
                   part.file != nullptr
                       ? PredictOutput::Resume(std::move(part.file), part.known)
                       : PredictOutput::Open(output_name, model.data.info, views, acting.Keys()));
  Work work(std::move(predictor), batch_size, views, std::move(output));
  if (!model.temperature.has_value()) {
    work.WarnWithAnswers(WithoutTemperature(flags.Get("checkpoint"), model.config));
  }
  std::optional<Progress> progress;
  if (ShowsProgress(output_name)) {
    progress.emplace("predict", part.left(), "conversation");
  }
  for (int64_t i = part.range.begin + part.known; i < part.range.end; ++i) {
    absl::StatusOr<Conversation> conversation = model.data.Load(indices[i]);
    if (!conversation.ok()) return work.Stop(conversation.status());
    if (i + 1 < part.range.end) model.data.ReadAhead({indices[i + 1]});
    const absl::Status added = work.Add(*std::move(conversation), std::nullopt);
    if (!added.ok()) return work.Stop(added);
    if (progress.has_value()) progress->Update(work.done(), "");
  }
  RETURN_IF_ERROR(work.Finish());
  progress.reset();
  std::cerr << work.Summary() << "\n";
  return absl::OkStatus();
}

}  // namespace

absl::Status PredictCommand(const Flags& flags) {
  if (flags.has("stream")) {
    RETURN_IF_ERROR(CheckPartFlags(flags));
    return PredictStream(flags);
  }
  for (const char* flag : {"idle_s", "max_open", "max_utterances"}) {
    if (flags.has(flag)) return BadFlag(flag, " is about --stream; add that, or leave it out");
  }
  ASSIGN_OR_RETURN(InputOptions options, InputOptionsOf(flags));
  ASSIGN_OR_RETURN(const ActingFlags acting, ActingFlags::Of(flags));
  options.keys = acting.Keys();
  if (flags.has("input")) {
    for (const char* flag : {"config", "split"}) {
      if (!flags.has(flag)) continue;
      return BadFlag(flag, absl::StrCat(" says which dataset to predict, and --input=",
                                        flags.Get("input"), " which conversations; keep one"));
    }
  }
  const std::string output = flags.has("output") ? flags.Get("output") : "-";
  if (output != "-") RETURN_IF_ERROR(CheckAnswerName(output));
  RETURN_IF_ERROR(CheckPartFlags(flags));
  RETURN_IF_ERROR(CheckOutput(
      flags, IsTable(output) ? OutputKind::kPredictionTable : OutputKind::kPredictions));
  return flags.has("input") ? PredictInput(flags, output, options, acting)
                            : PredictDataset(flags, output, acting);
}

}  // namespace cmerc
