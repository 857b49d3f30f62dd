#include <google/protobuf/any.pb.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "bin/commands.h"
#include "bin/machine_limits.h"
#include "bin/session.h"
#include "calibration/predictor.h"
#include "core/printable.h"
#include "core/status.h"
#include "datasets/assembly/conversation_tensors.h"
#include "datasets/formats/conversation_file.h"
#include "datasets/formats/json_lines.h"
#include "metrics/json.h"
#include "profile/progress.h"
#include "registry/registry.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

// A prediction as JSON. An id that the input has as a number is a number again.
std::string LineOf(const PredictedConversation& prediction, bool numeric_id) {
  std::string json = ToJson(prediction, /*pretty=*/false);
  absl::string_view rest = json;
  if (!numeric_id ||
      !absl::ConsumePrefix(&rest, absl::StrCat("{\"id\":\"", prediction.id(), "\""))) {
    return json;
  }
  return absl::StrCat("{\"id\":", prediction.id(), rest);
}

// Where the results go: standard output, batch by batch, or a file, which appears at the end.
class Results {
 public:
  // "-": standard output. A reader that goes away is then an error of Write(), and not a signal
  // that ends the program without a word.
  static absl::StatusOr<Results> Open(const std::string& path) {
    Results results;
    if (path == "-") {
      std::signal(SIGPIPE, SIG_IGN);
      return results;
    }
    ASSIGN_OR_RETURN(results.file_, AtomicFile::Create(path));
    return results;
  }

  // The predictions of `conversations`, a line each.
  absl::Status Write(const std::vector<PredictedConversation>& predictions,
                     const std::vector<Conversation>& conversations) {
    std::string lines;
    for (size_t i = 0; i < predictions.size(); ++i) {
      absl::StrAppend(&lines, LineOf(predictions[i], conversations[i].numeric_id), "\n");
    }
    if (file_ != nullptr) return file_->Write(lines);
    const int error = WriteAll(STDOUT_FILENO, lines);
    if (error == 0) return absl::OkStatus();
    return absl::UnavailableError(
        error == EPIPE ? "whoever read standard output has closed it before the end"
                       : absl::StrCat("cannot write to standard output: ", std::strerror(error)));
  }

  absl::Status Finish() { return file_ == nullptr ? absl::OkStatus() : file_->Commit(); }

 private:
  std::unique_ptr<AtomicFile> file_;
};

// Gathers conversations into batches, predicts them and writes what comes out, in order.
class Work {
 public:
  Work(Predictor predictor, bool explain, Results results)
      : predictor_(std::move(predictor)),
        views_(explain ? AllViews(predictor_.info()) : std::vector<View>{}),
        results_(std::move(results)),
        start_(std::chrono::steady_clock::now()) {}

  const Predictor& predictor() const { return predictor_; }
  int64_t conversations() const { return conversations_; }

  // Adds a conversation that Predictor::Check() has approved of, and predicts the batch that is
  // complete with it.
  absl::Status Add(Conversation conversation) {
    waiting_.push_back(std::move(conversation));
    const auto batch_size = static_cast<size_t>(predictor_.config().training().batch_size());
    return waiting_.size() < batch_size ? absl::OkStatus() : PredictWaiting();
  }

  // Predicts the last ones and makes the output complete.
  absl::Status Finish() {
    const absl::Status predicted = PredictWaiting();
    return predicted.ok() ? results_.Finish() : Stop(predicted);
  }

  // Ends early: what has been predicted is not lost, and where that is nothing a file stays as it
  // was.
  absl::Status Stop(const absl::Status& problem) {
    if (conversations_ > 0) RETURN_IF_ERROR(results_.Finish());
    return absl::Status(problem.code(), absl::StrCat(problem.message(), "\n", conversations_,
                                                     " conversations before it were predicted"));
  }

  // "12 conversations, 345 utterances, 678 utterances a second"
  std::string Summary() const {
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    return absl::StrFormat("%d conversations, %d utterances, %.0f utterances a second",
                           conversations_, utterances_, utterances_ / seconds);
  }

  absl::Status PredictWaiting() {
    WarnOfLength();
    ASSIGN_OR_RETURN(const auto predictions, predictor_.Predict(waiting_, views_));
    RETURN_IF_ERROR(results_.Write(predictions, waiting_));
    conversations_ += static_cast<int64_t>(predictions.size());
    for (const PredictedConversation& prediction : predictions) {
      utterances_ += prediction.utterances_size();
    }
    waiting_.clear();
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
  const std::vector<View> views_;
  Results results_;
  const std::chrono::steady_clock::time_point start_;
  std::vector<Conversation> waiting_;
  int64_t conversations_ = 0;  // written
  int64_t utterances_ = 0;
  bool warned_ = false;
};

// InvalidArgument: "--FLAG" and then `why`.
absl::Status BadFlag(const std::string& flag, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, why));
}

// The conversations of a file, or of standard input ("-"), one by one.
class Input {
 public:
  static absl::StatusOr<Input> Open(const std::string& path) {
    Input input;
    if (path == "-") {
      std::ios::sync_with_stdio(false);
      input.name_ = "standard input";
      input.lines_ = std::make_unique<JsonLinesReader>(std::cin, input.name_);
      return input;
    }
    absl::StatusOr<std::unique_ptr<ConversationFile>> file = ConversationFile::Open(path);
    if (!file.ok()) {
      return absl::Status(file.status().code(), absl::StrCat("--input=", file.status().message()));
    }
    input.name_ = path;
    input.file_ = *std::move(file);
    return input;
  }

  // The next conversation, as the model of `predictor` sees it; nullopt at the end. InvalidArgument
  // names the place of a conversation that the model cannot take.
  absl::StatusOr<std::optional<Conversation>> Next(const Predictor& predictor) {
    const absl::StatusOr<std::optional<ConversationRecord>> record =
        file_ != nullptr ? file_->Next() : lines_->Next();
    if (!record.ok()) {
      can_go_on_ = file_ == nullptr || file_->schema() == nullptr;
      return record.status();
    }
    if (!record->has_value()) return std::nullopt;
    absl::StatusOr<Conversation> conversation = ToConversation(**record, predictor.info());
    const absl::Status fits =
        conversation.ok() ? predictor.Check(*conversation) : conversation.status();
    if (fits.ok()) return *std::move(conversation);
    const std::string place =
        file_ != nullptr ? file_->Place() : absl::StrCat("line ", lines_->line());
    return Annotate(fits, absl::StrCat(name_, ", ", place, ": conversation ", (*record)->id()));
  }

  // Whether more conversations may come after an error. None do from a record file that is damaged.
  bool can_go_on() const { return can_go_on_; }

 private:
  std::string name_;
  bool can_go_on_ = true;
  std::unique_ptr<ConversationFile> file_;  // this or ...
  std::unique_ptr<JsonLinesReader> lines_;  // ... this
};

// Whether to show a progress bar: on a terminal it must not get between the results.
bool ShowsProgress(const std::string& output) {
  return output != "-" || isatty(STDOUT_FILENO) == 0;
}

// Predicts the conversations of --input; `skip` leaves out those that cannot be predicted.
absl::Status PredictInput(const Flags& flags, const std::string& output, bool skip) {
  ASSIGN_OR_RETURN(Input input, Input::Open(flags.Get("input")));
  ASSIGN_OR_RETURN(const std::string checkpoint, CheckpointFlag(flags));
  ASSIGN_OR_RETURN(Predictor predictor, Predictor::Load(checkpoint, flags.All("set")));
  RETURN_IF_ERROR(SetUpThreads(predictor.config()));
  ASSIGN_OR_RETURN(Results results, Results::Open(output));

  Work work(std::move(predictor), flags.has("explain"), std::move(results));
  std::optional<Progress> progress;
  if (ShowsProgress(output)) progress.emplace("predict", Progress::kUnknown, "conversation");
  int64_t skipped = 0;
  while (true) {
    absl::StatusOr<std::optional<Conversation>> conversation = input.Next(work.predictor());
    const bool can_skip = absl::IsInvalidArgument(conversation.status()) && input.can_go_on();
    if (can_skip && skip) {
      ++skipped;
      progress.reset();  // messages show that it goes on, and a bar would be in their way
      std::cerr << "skipped: " << Printable(conversation.status().message()) << "\n";
      continue;
    }
    if (!conversation.ok()) {
      const absl::Status predicted = work.PredictWaiting();
      if (!predicted.ok()) return work.Stop(predicted);
      return work.Stop(absl::Status(
          conversation.status().code(),
          absl::StrCat(conversation.status().message(),
                       can_skip ? "\n--on_error=SKIP leaves out what cannot be predicted" : "")));
    }
    if (!conversation->has_value()) break;
    const absl::Status added = work.Add(**std::move(conversation));
    if (!added.ok()) return work.Stop(added);
    if (progress.has_value()) progress->Update(work.conversations(), "");
  }
  RETURN_IF_ERROR(work.Finish());
  progress.reset();
  std::cerr << work.Summary();
  if (skip) std::cerr << ", " << skipped << " skipped";
  std::cerr << "\n";
  return absl::OkStatus();
}

// Predicts a split of the dataset that the checkpoint's config, or --config, names.
absl::Status PredictDataset(const Flags& flags, const std::string& output) {
  ASSIGN_OR_RETURN(const std::string split, SplitFlag(flags));
  std::ostream nowhere(nullptr);
  ASSIGN_OR_RETURN(TrainedModel model, LoadTrainedModel(flags, nowhere));
  ASSIGN_OR_RETURN(const std::vector<int64_t> indices, ConversationsOf(split, model.data));
  ASSIGN_OR_RETURN(Results results, Results::Open(output));

  // The features of model.data have been standardized.
  Work work(Predictor(model.backbone, {model.config, std::nullopt, model.temperature}),
            flags.has("explain"), std::move(results));
  std::optional<Progress> progress;
  if (ShowsProgress(output)) {
    progress.emplace("predict", static_cast<int64_t>(indices.size()), "conversation");
  }
  for (size_t i = 0; i < indices.size(); ++i) {
    const absl::Status added = work.Add(model.data.conversations[indices[i]]);
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
  const std::string on_error = flags.has("on_error") ? flags.Get("on_error") : "FAIL";
  if (on_error != "FAIL" && on_error != "SKIP") {
    return BadFlag("on_error", absl::StrCat("=", on_error, ", must be FAIL or SKIP"));
  }
  if (flags.has("input")) {
    for (const char* flag : {"config", "split"}) {
      if (!flags.has(flag)) continue;
      return BadFlag(flag, absl::StrCat(" says which dataset to predict, and --input=",
                                        flags.Get("input"), " which conversations; keep one"));
    }
  } else if (flags.has("on_error")) {
    return BadFlag(
        "on_error",
        " is about the conversations of --input; a dataset is checked before it is predicted");
  }
  const std::string output = flags.has("output") ? flags.Get("output") : "-";
  if (output != "-") RETURN_IF_ERROR(CheckWritableFile(output));
  return flags.has("input") ? PredictInput(flags, output, on_error == "SKIP")
                            : PredictDataset(flags, output);
}

}  // namespace cmerc
