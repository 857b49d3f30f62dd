#include <google/protobuf/any.pb.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bin/acting_flags.h"
#include "bin/commands.h"
#include "bin/conversation_input.h"
#include "bin/machine_limits.h"
#include "bin/missing_count.h"
#include "bin/output.h"
#include "bin/predict_options.h"
#include "bin/predict_output.h"
#include "bin/predict_stream.h"
#include "bin/session.h"
#include "calibration/describe_prediction.h"
#include "calibration/predictor.h"
#include "core/printable.h"
#include "core/status.h"
#include "datasets/formats/json_lines.h"
#include "profile/progress.h"
#include "registry/registry.h"
#include "storage/checkpoint.h"

namespace cmerc {
namespace {

// Gathers conversations into batches, predicts them and writes what comes out, in order.
class Work {
 public:
  // `batch_size` conversations are predicted together.
  Work(Predictor predictor, int64_t batch_size, std::vector<View> views, PredictOutput output)
      : predictor_(std::move(predictor)),
        batch_size_(static_cast<size_t>(batch_size)),
        views_(std::move(views)),
        output_(std::move(output)),
        missing_(predictor_.info()),
        start_(std::chrono::steady_clock::now()) {}

  const Predictor& predictor() const { return predictor_; }
  int64_t conversations() const { return conversations_; }

  // Adds what is said, as a warning, once there is an answer.
  void WarnWithAnswers(std::string warning) { warnings_.push_back(std::move(warning)); }

  // Adds a conversation that Predictor::Check() has approved of, and predicts the batch that is
  // complete with it. Its names are those of `record`, or of the data set where there is none.
  absl::Status Add(Conversation conversation, std::optional<ConversationRecord> record) {
    waiting_.push_back(std::move(conversation));
    records_.push_back(std::move(record));
    return waiting_.size() < batch_size_ ? absl::OkStatus() : PredictWaiting();
  }

  // Predicts the last ones and makes the output complete.
  absl::Status Finish() {
    const absl::Status predicted = PredictWaiting();
    if (!predicted.ok()) return Stop(predicted);
    const std::string warning = missing_.Warning();
    if (!warning.empty()) PrintWarnings({warning});
    return output_.Finish();
  }

  // Ends early: what has been predicted is not lost, and where that is nothing a file stays as it
  // was.
  absl::Status Stop(const absl::Status& problem) {
    if (conversations_ > 0) RETURN_IF_ERROR(output_.Finish());
    return absl::Status(problem.code(), absl::StrCat(problem.message(), "\n", conversations_,
                                                     " conversations before it were predicted"));
  }

  // "12 conversations, 345 utterances, 678 utterances a second, 9 without audio"
  std::string Summary() const {
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    return absl::StrFormat("%d conversations, %d utterances, %.0f utterances a second%s",
                           conversations_, utterances_, utterances_ / seconds, missing_.Summary());
  }

  absl::Status PredictWaiting() {
    if (waiting_.empty()) return absl::OkStatus();
    WarnOfLength();
    ASSIGN_OR_RETURN(std::vector<PredictedConversation> predictions,
                     predictor_.Predict(waiting_, views_));
    PrintWarnings(std::exchange(warnings_, {}));
    for (size_t i = 0; i < predictions.size(); ++i) {
      if (records_[i].has_value()) {
        const CarriedAlong carried = Name(*records_[i], &predictions[i]);
        output_.Add(predictions[i], carried);
      } else {
        SetSpeakersAndLabels(waiting_[i], predictor_.info(), &predictions[i]);
        output_.Add(predictions[i], {waiting_[i].numeric_id, "", {}});
      }
      utterances_ += predictions[i].utterances_size();
      missing_.Add(waiting_[i]);
    }
    RETURN_IF_ERROR(output_.Flush());
    conversations_ += static_cast<int64_t>(predictions.size());
    waiting_.clear();
    records_.clear();
    return absl::OkStatus();
  }

 private:
  // Says once that a batch may not fit into the memory.
  void WarnOfLength() {
    int64_t longest = 0;
    for (const Conversation& conversation : waiting_) {
      longest = std::max(longest, conversation.speakers.size(0));
    }
    const google::protobuf::Any& backbone = predictor_.config().backbone();
    const BatchSize batch = {PluginType(backbone),
                             absl::StrContains(backbone.ShortDebugString(), "encoder: TRANSFORMER"),
                             static_cast<int64_t>(predictor_.info().modalities.size()),
                             !views_.empty(),
                             static_cast<int64_t>(waiting_.size()),
                             longest};
    const std::string warning = LengthWarning(batch, FreeMemory());
    if (warning.empty() || warned_) return;
    std::cerr << "warning: " << warning << "\n";
    warned_ = true;
  }

  Predictor predictor_;
  const size_t batch_size_;
  const std::vector<View> views_;
  PredictOutput output_;
  MissingCount missing_;
  const std::chrono::steady_clock::time_point start_;
  std::vector<std::string> warnings_;  // not said yet
  std::vector<Conversation> waiting_;
  std::vector<std::optional<ConversationRecord>> records_;  // parallel to waiting_
  int64_t conversations_ = 0;                               // written
  int64_t utterances_ = 0;
  bool warned_ = false;
};

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

// Predicts all of `input`, and counts in `skipped` what `options` let it leave out.
absl::Status PredictAll(ConversationInput& input, const InputOptions& options, bool shows_progress,
                        Work& work, int64_t* skipped) {
  KeyWarnings key_warnings;
  std::optional<Progress> progress;
  if (shows_progress) progress.emplace("predict", Progress::kUnknown, "conversation");
  while (true) {
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
    const std::string warning = key_warnings.Of((*next)->record, input.Place((*next)->record));
    if (!warning.empty()) {
      progress.reset();
      PrintWarnings({warning});
    }
    const absl::Status added =
        work.Add(std::move((*next)->conversation), std::move((*next)->record));
    if (!added.ok()) return work.Stop(added);
    if (progress.has_value()) progress->Update(work.conversations(), "");
  }
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
  ASSIGN_OR_RETURN(PredictOutput output,
                   PredictOutput::Open(output_name, predictor.info(), views, options.keys));
  std::string alone;
  const int64_t batch_size = BatchSizeFor(input, predictor, &alone);
  Work work(std::move(predictor), batch_size, views, std::move(output));
  for (const std::string& warning : {model.uncalibrated, alone}) {
    if (!warning.empty()) work.WarnWithAnswers(warning);
  }
  int64_t skipped = 0;
  RETURN_IF_ERROR(PredictAll(input, options, ShowsProgress(output_name), work, &skipped));
  const absl::Status last = work.PredictWaiting();
  if (!last.ok()) return work.Stop(last);
  const absl::Status answers = CheckAnswers(input, options, work.conversations(), skipped);
  if (work.conversations() == 0) return answers;
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
  ASSIGN_OR_RETURN(PredictOutput output,
                   PredictOutput::Open(output_name, model.data.info, views, acting.Keys()));
  Work work(std::move(predictor), model.config.training().batch_size(), views, std::move(output));
  if (!model.temperature.has_value()) {
    work.WarnWithAnswers(WithoutTemperature(flags.Get("checkpoint"), model.config));
  }
  std::optional<Progress> progress;
  if (ShowsProgress(output_name)) {
    progress.emplace("predict", static_cast<int64_t>(indices.size()), "conversation");
  }
  for (size_t i = 0; i < indices.size(); ++i) {
    const absl::Status added = work.Add(model.data.conversations[indices[i]], std::nullopt);
    if (!added.ok()) return work.Stop(added);
    if (progress.has_value()) progress->Update(work.conversations(), "");
  }
  RETURN_IF_ERROR(work.Finish());
  progress.reset();
  std::cerr << work.Summary() << "\n";
  return absl::OkStatus();
}

}  // namespace

absl::Status PredictCommand(const Flags& flags) {
  if (flags.has("stream")) return PredictStream(flags);
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
  RETURN_IF_ERROR(CheckOutput(
      flags, IsTable(output) ? OutputKind::kPredictionTable : OutputKind::kPredictions));
  return flags.has("input") ? PredictInput(flags, output, options, acting)
                            : PredictDataset(flags, output, acting);
}

}  // namespace cmerc
