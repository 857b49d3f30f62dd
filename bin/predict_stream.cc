#include "bin/predict_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <iostream>
#include <istream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bin/acting_flags.h"
#include "bin/output.h"
#include "bin/polled_input.h"
#include "bin/predict_options.h"
#include "bin/predict_output.h"
#include "bin/session.h"
#include "bin/stop_signal.h"
#include "calibration/extractors.h"
#include "calibration/stream.h"
#include "core/printable.h"
#include "core/status.h"
#include "datasets/assembly/conversation_tensors.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/conversation_file.h"
#include "datasets/formats/line_reader.h"
#include "datasets/formats/stream_line.h"

namespace cmerc {
namespace {

constexpr char kStops[] = "\nthe stream ends here; once more stops at once\n";

// Where lines come from.
class StreamInput {
 public:
  // "-": standard input. InvalidArgument or NotFound, with "--input=" in front: there is no such
  // file.
  static absl::StatusOr<std::unique_ptr<StreamInput>> Open(const std::string& path) {
    std::unique_ptr<StreamInput> input(new StreamInput);
    if (path != "-") {
      input->name_ = path;
      input->descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
      struct stat info {};
      if (input->descriptor_ < 0) {
        const absl::Status status = absl::ErrnoToStatus(errno, absl::StrCat("--input=", path));
        return absl::IsNotFound(status) ? status : absl::InvalidArgumentError(status.message());
      }
      if (fstat(input->descriptor_, &info) == 0 && S_ISDIR(info.st_mode)) {
        return absl::InvalidArgumentError(
            absl::StrCat("--input=", path, " is a folder, want a file of utterances"));
      }
    }
    input->polled_ = std::make_unique<PolledInput>(path == "-" ? STDIN_FILENO : input->descriptor_,
                                                   [] { return StopSignal() != 0; });
    input->stream_ = std::make_unique<std::istream>(input->polled_.get());
    input->lines_ = std::make_unique<LineReader>(*input->stream_, input->name_, "one utterance");
    return input;
  }

  StreamInput(const StreamInput&) = delete;
  StreamInput& operator=(const StreamInput&) = delete;
  ~StreamInput() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  // The next line that is not blank; false at the end, and once a signal has come. Errors are those
  // of LineReader::Next(); InvalidArgument: it is no JSON Lines, as its first bytes tell;
  // Unavailable: it cannot be read.
  absl::StatusOr<bool> Next(std::string* text) {
    if (lines_->line() == 0) {
      RETURN_IF_ERROR(Annotate(CheckStreamsAsJsonLines(polled_->Head()), name_));
    }
    ASSIGN_OR_RETURN(const bool found, lines_->Next(text));
    if (polled_->error() != 0) {
      return absl::UnavailableError(absl::StrCat(name_, ": cannot be read after line ",
                                                 lines_->line(), ": ",
                                                 std::strerror(polled_->error())));
    }
    // The last line may have been cut short by the signal.
    return found && StopSignal() == 0;
  }

  const std::string& name() const { return name_; }
  int64_t line() const { return lines_->line(); }

 private:
  StreamInput() = default;

  std::string name_ = "standard input";
  int descriptor_ = -1;
  std::unique_ptr<PolledInput> polled_;
  std::unique_ptr<std::istream> stream_;
  std::unique_ptr<LineReader> lines_;
};

// Answers one line after the other.
class StreamWork {
 public:
  StreamWork(ConversationStream stream, PredictOutput output, InputOptions options,
             std::string uncalibrated)
      : stream_(std::move(stream)),
        output_(std::move(output)),
        options_(std::move(options)),
        uncalibrated_(std::move(uncalibrated)) {}

  // Answers line number `number`, at `place`: "new.jsonl, line 12". InvalidArgument: it cannot be
  // predicted, or too many could not. Unavailable: standard output cannot be written. Other errors
  // are those of ConversationStream::Push().
  absl::Status Take(const std::string& text, int64_t number, std::string place) {
    absl::StatusOr<StreamLine> line = StreamLineFromJson(text, options_.unknown_keys);
    if (line.ok()) absl::StrAppend(&place, ": conversation ", line->record.id());
    absl::Status problem = line.status();
    if (line.ok() && line->record.utterances_size() > 0) problem = Answer(line->record, place);
    if (line.ok() && line->ends) End(line->record, place);
    if (problem.ok()) return problem;
    const bool limited = absl::IsFailedPrecondition(problem);
    if (!limited && !absl::IsInvalidArgument(problem)) return Annotate(problem, place);
    const std::string why =
        absl::StrCat(problem.message(), limited ? ", or raise --max_open or --max_utterances" : "");
    if (!limited && !options_.skip) {
      return absl::InvalidArgumentError(absl::StrCat(
          place, ": ", why, "\n--on_error=SKIP answers such a line with its error, and goes on"));
    }
    std::cerr << "skipped: " << Printable(absl::StrCat(place, ": ", why)) << "\n";
    return Refuse(line.ok() ? line->record : ConversationRecord(), number, why);
  }

  std::string Summary() const {
    return absl::StrCat(answered_, " utterances answered", skipped_ > 0 ? ", " : "",
                        skipped_ > 0 ? absl::StrCat(skipped_, " not") : "", "; ", ended_,
                        " conversations ended, ", stream_.dropped(), " dropped as idle, ",
                        stream_.open(), " open at the end");
  }

  int64_t answered() const { return answered_; }
  int64_t skipped() const { return skipped_; }
  const SkipLimit& limit() const { return options_.limit; }

 private:
  // InvalidArgument: a key that answers need.
  absl::Status CheckKeys(const ConversationRecord& record) const {
    for (const ConversationRecord::Extra& extra : record.utterances(0).extras()) {
      const std::string& key = extra.key();
      if (!IsAnswerKey(key, options_.keys) && key != "utterance" && key != "restarted" &&
          key != "line" && key != "error") {
        continue;
      }
      return absl::InvalidArgumentError(absl::StrCat(
          key,
          " is a key that answers have for themselves; rename it, or put it into \"metadata\""));
    }
    return absl::OkStatus();
  }

  absl::Status Answer(const ConversationRecord& record, const std::string& place) {
    RETURN_IF_ERROR(CheckKeys(record));
    const Extractors& trained = stream_.predictor().extractors();
    RETURN_IF_ERROR(CheckExtractors(trained, ExtractorsOf(record)));
    ASSIGN_OR_RETURN(Conversation utterance, ToConversation(record, stream_.predictor().info()));
    ASSIGN_OR_RETURN(
        ConversationStream::Answer answer,
        stream_.Push(record.id(), std::move(utterance), record.utterances(0).speaker()));
    SayWhatToKnow();
    std::string unsaid = WithoutExtractor(record, trained);
    if (!unsaid.empty()) unsaid = absl::StrCat(place, " ", unsaid);
    if (std::exchange(has_warned_, has_warned_ || !unsaid.empty())) unsaid.clear();
    for (const std::string& warning : {unsaid, key_warnings_.Of(record, place)}) {
      if (!warning.empty()) PrintWarnings({warning});
    }
    PredictedConversation prediction;
    prediction.set_id(record.id());
    *prediction.add_utterances() = std::move(answer.utterance);
    const CarriedAlong carried = Name(record, &prediction);
    output_.AddLine(StreamedToJson(prediction, answer.number, answer.restarted, carried));
    RETURN_IF_ERROR(output_.Flush());
    ++answered_;
    return absl::OkStatus();
  }

  // Says once, with the first answer, what the user should know of the stream and its model.
  void SayWhatToKnow() {
    if (answered_ > 0) return;
    std::cerr << "stream    " << DescribeLimits() << "\n";
    for (const std::string& warning : {WarningOfModel(), uncalibrated_}) {
      if (!warning.empty()) PrintWarnings({warning});
    }
  }

  // "at most 256 conversations ..."
  std::string DescribeLimits() const {
    const StreamLimits& limits = stream_.limits();
    const int64_t bytes = stream_.BytesPerUtterance();
    return absl::StrFormat(
        "at most %d conversations at a time (--max_open) of %d utterances each "
        "(--max_utterances), %d bytes of features an utterance: %.1f MB a conversation; dropped "
        "after %d s without an utterance (--idle_s)",
        limits.max_open, limits.max_utterances, bytes,
        static_cast<double>(bytes * limits.max_utterances) / 1e6, limits.idle.count());
  }

  // What the user should know of how this model answers; "": nothing.
  std::string WarningOfModel() const {
    if (stream_.predictor().info().context == ContextScope::kConversation) {
      return "this model was trained with data { context: CONVERSATION }, to draw on later "
             "utterances too: each utterance is predicted as the last one of its conversation, and "
             "all before it are predicted again for it (docs/online.md)";
    }
    if (stream_.continues()) return "";
    return "this backbone remembers nothing of a conversation: all utterances of one are predicted "
           "again for each that comes (docs/online.md)";
  }

  void End(const ConversationRecord& record, const std::string& place) {
    if (stream_.Close(record.id())) {
      ++ended_;
    } else {
      PrintWarnings({absl::StrCat(place, ": is not open, so that there is nothing to end")});
    }
  }

  // Answers that there is no answer.
  absl::Status Refuse(const ConversationRecord& record, int64_t number, const std::string& why) {
    PredictedConversation names;
    names.set_id(record.id());
    for (int i = 0; i < record.utterances_size(); ++i) names.add_utterances();
    const CarriedAlong carried = Name(record, &names);
    output_.AddLine(RefusalToJson(number, names, carried, Printable(why)));
    RETURN_IF_ERROR(output_.Flush());
    return options_.limit.CheckSoFar(++skipped_);
  }

  ConversationStream stream_;
  PredictOutput output_;
  const InputOptions options_;
  const std::string uncalibrated_;
  KeyWarnings key_warnings_;
  bool has_warned_ = false;  // of what does not say its extractors
  int64_t answered_ = 0;
  int64_t skipped_ = 0;
  int64_t ended_ = 0;
};

// Sets `value` where the flag is given. InvalidArgument: it is no integer above 0.
absl::Status ReadCount(const Flags& flags, const std::string& flag, int64_t* value) {
  if (!flags.has(flag)) return absl::OkStatus();
  int64_t read = 0;
  // So that nothing that is computed with it overflows.
  constexpr int64_t kMost = 1000000000;
  if (!absl::SimpleAtoi(flags.Get(flag), &read) || read < 1 || read > kMost) {
    return BadFlag(flag,
                   absl::StrCat("=", flags.Get(flag), ", must be an integer from 1 to ", kMost));
  }
  *value = read;
  return absl::OkStatus();
}

absl::StatusOr<StreamLimits> LimitsOf(const Flags& flags) {
  StreamLimits limits;
  RETURN_IF_ERROR(ReadCount(flags, "max_open", &limits.max_open));
  RETURN_IF_ERROR(ReadCount(flags, "max_utterances", &limits.max_utterances));
  int64_t idle = limits.idle.count();
  RETURN_IF_ERROR(ReadCount(flags, "idle_s", &idle));
  limits.idle = std::chrono::seconds(idle);
  return limits;
}

// InvalidArgument: flags that have no meaning for a stream.
absl::Status CheckStreamFlags(const Flags& flags) {
  for (const char* flag : {"config", "split"}) {
    if (flags.has(flag)) {
      return BadFlag(flag,
                     " says which dataset to predict, and --stream takes what comes; keep one");
    }
  }
  if (flags.has("output") && flags.Get("output") != "-") {
    return BadFlag("output",
                   absl::StrCat("=", flags.Get("output"),
                                ": --stream answers at once, on standard output; leave it "
                                "out, and write > ",
                                flags.Get("output")));
  }
  return absl::OkStatus();
}

// InvalidArgument: nothing has been predicted, or too much of it left out.
absl::Status CheckStreamAnswers(const StreamWork& work, const std::string& name) {
  if (work.answered() > 0) {
    return work.limit().CheckAtEnd(work.skipped(), work.skipped() + work.answered());
  }
  if (StopSignal() != 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      work.skipped() == 0
          ? absl::StrCat(name, " has no utterance to predict")
          : absl::StrCat("nothing was predicted: none of the ", work.skipped(), " utterances of ",
                         name, " could be; docs/online.md shows what they must have"));
}

}  // namespace

absl::Status PredictStream(const Flags& flags) {
  RETURN_IF_ERROR(CheckStreamFlags(flags));
  ASSIGN_OR_RETURN(InputOptions options, InputOptionsOf(flags));
  ASSIGN_OR_RETURN(const ActingFlags acting, ActingFlags::Of(flags));
  options.keys = acting.Keys();
  ASSIGN_OR_RETURN(const StreamLimits limits, LimitsOf(flags));
  RETURN_IF_ERROR(CheckOutput(flags, OutputKind::kPredictions));
  ASSIGN_OR_RETURN(const std::unique_ptr<StreamInput> input,
                   StreamInput::Open(flags.has("input") ? flags.Get("input") : "-"));
  ASSIGN_OR_RETURN(InputPredictor model, LoadInputPredictor(flags));
  RETURN_IF_ERROR(acting.LetAnswer(flags.Get("checkpoint"), &model.predictor));
  const std::vector<View> views =
      flags.has("explain") ? AllViews(model.predictor.info()) : std::vector<View>{};
  ASSIGN_OR_RETURN(PredictOutput output,
                   PredictOutput::Open("-", model.predictor.info(), views, options.keys));
  StreamWork work(ConversationStream(std::move(model.predictor), views, limits), std::move(output),
                  std::move(options), std::move(model.uncalibrated));
  CatchStopSignals(kStops);
  std::string text;
  while (true) {
    ASSIGN_OR_RETURN(const bool found, input->Next(&text));
    if (!found) break;
    RETURN_IF_ERROR(
        work.Take(text, input->line(), absl::StrCat(input->name(), ", line ", input->line())));
  }
  const absl::Status answers = CheckStreamAnswers(work, input->name());
  if (answers.ok() || work.answered() > 0) std::cerr << work.Summary() << "\n";
  return answers;
}

}  // namespace cmerc
