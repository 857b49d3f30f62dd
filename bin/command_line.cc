#include "bin/command_line.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "bin/habits.h"
#include "core/status.h"
#include "registry/nearest_name.h"

namespace cmerc {
namespace {

constexpr char kVersionFlag[] = "--version";

// Of the commands that write one file (bin/output.h).
FlagSpec OverwriteFlag() {
  return {"overwrite", FlagSpec::Kind::kSwitch, "replace a file of the same kind", ""};
}

FlagSpec SetFlag() {
  return {"set", FlagSpec::Kind::kRepeatedValue,
          "merged over the config: training.epochs=3 or 'training { epochs: 3 }'; may be repeated",
          "FRAGMENT"};
}

// How answers are acted on (bin/acting_flags.h); `what` begins what the flag does.
FlagSpec SetsFlag(const std::string& what) {
  return {"sets", FlagSpec::Kind::kValue,
          what +
              " sets of classes that have the true one with this probability, such as 0.9 "
              "(docs/sets.md)",
          "COVERAGE"};
}

FlagSpec SetsMethodFlag() {
  return {"sets_method", FlagSpec::Kind::kValue,
          "how the sets are made: split (the default), class_conditional or adaptive", "METHOD"};
}

FlagSpec AbstainFlag(const std::string& what) {
  return {"abstain_below", FlagSpec::Kind::kValue, what, "P"};
}

std::vector<FlagSpec> TrainFlags() {
  return {
      {"config", FlagSpec::Kind::kValue, "the experiment (see `cmerc help config`)", "FILE"},
      SetFlag(),
      {"output", FlagSpec::Kind::kValue, "folder for the run; a new one below runs/ by default",
       "DIR"},
      {"profile", FlagSpec::Kind::kSwitch,
       "print where the time of a step goes, and write trace.json for chrome://tracing", ""},
      {"tensorboard", FlagSpec::Kind::kSwitch,
       "also write losses, scores and histograms of gradients for TensorBoard", ""},
      {"resume", FlagSpec::Kind::kSwitch,
       "go on with the run that --output holds, with its own config, where it was interrupted", ""},
      {"overwrite", FlagSpec::Kind::kSwitch, "replace a run that the folder holds", ""},
  };
}

std::vector<FlagSpec> EvaluateFlags() {
  return {
      {"checkpoint", FlagSpec::Kind::kValue, "selected.pth of a run, or a .pth that Python saved",
       "FILE"},
      {"config", FlagSpec::Kind::kValue, "in place of the config in the checkpoint", "FILE"},
      SetFlag(),
      {"split", FlagSpec::Kind::kValue, "train, valid or test (the default)", "SPLIT"},
      {"input", FlagSpec::Kind::kValue,
       "score these labelled conversations instead: JSON Lines, a record file or an .npz (- is "
       "standard input)",
       "FILE"},
      {"views", FlagSpec::Kind::kSwitch, "also without each modality and kind of context", ""},
      {"missing", FlagSpec::Kind::kValue,
       "also with these shares of the modalities removed at random, such as 0.1,0.3,0.5,0.7",
       "SHARES"},
      {"seed", FlagSpec::Kind::kValue,
       "with --missing: which modalities of which utterances go; 1 by default", "N"},
      SetsFlag("also score"),
      SetsMethodFlag(),
      AbstainFlag("also score what is left where answers less probable than this are not given"),
      {"output", FlagSpec::Kind::kValue, "also write the scores as JSON", "FILE"},
      OverwriteFlag(),
  };
}

std::vector<FlagSpec> PredictFlags() {
  return {
      {"checkpoint", FlagSpec::Kind::kValue, "selected.pth of a run", "FILE"},
      {"input", FlagSpec::Kind::kValue,
       "conversations: JSON Lines, a record file or an .npz (- is standard input, JSON Lines that "
       "are answered as they come); without it, --split of the dataset",
       "FILE"},
      {"output", FlagSpec::Kind::kValue,
       "the predictions, one conversation a line as JSON, or a row an utterance where its name "
       "ends "
       "with .csv; - is standard output, the default",
       "FILE"},
      OverwriteFlag(),
      {"shard", FlagSpec::Kind::kValue,
       "only the I-th of N parts of the conversations, such as 1/4; `cat` of the outputs of all "
       "parts "
       "is the output of one process (docs/archives.md)",
       "I/N"},
      {"resume", FlagSpec::Kind::kSwitch,
       "let the file of --output grow with each batch, and go on behind the answers that it holds",
       ""},
      {"explain", FlagSpec::Kind::kSwitch,
       "also what changes without each modality and kind of context", ""},
      SetsFlag("also"),
      SetsMethodFlag(),
      AbstainFlag("also mark answers that are less probable than this: \"abstained\": true"),
      {"stream", FlagSpec::Kind::kSwitch,
       "conversations that go on: an utterance a line of --input (standard input by default), each "
       "answered at once (docs/online.md)",
       ""},
      {"max_open", FlagSpec::Kind::kValue,
       "with --stream: conversations at the same time, 256 by default", "N"},
      {"max_utterances", FlagSpec::Kind::kValue,
       "with --stream: utterances of a conversation, 1000 by default", "N"},
      {"idle_s", FlagSpec::Kind::kValue,
       "with --stream: after how many seconds without an utterance a conversation is dropped, 600 "
       "by default",
       "N"},
      {"on_error", FlagSpec::Kind::kValue,
       "SKIP leaves out what cannot be predicted of --input, FAIL (the default) stops there",
       "WHAT"},
      {"max_skipped", FlagSpec::Kind::kValue,
       "with SKIP: fail where more is left out: a number, or a share such as 1%", "N|P%"},
      {"require_calibrated", FlagSpec::Kind::kSwitch,
       "fail, before any work, where the checkpoint has no temperature", ""},
      {"unknown_keys", FlagSpec::Kind::kValue,
       "PASS (the default) repeats keys of --input that no model looks at, FAIL refuses them",
       "WHAT"},
      {"split", FlagSpec::Kind::kValue, "of the dataset: train, valid or test (the default)",
       "SPLIT"},
      {"config", FlagSpec::Kind::kValue,
       "names the dataset, in place of the config in the checkpoint", "FILE"},
      SetFlag(),
  };
}

std::vector<FlagSpec> ServeFlags() {
  return {
      {"model", FlagSpec::Kind::kRepeatedValue,
       "a model and the name that requests call it by: --model=meld=runs/meld/selected.pth; may be "
       "repeated",
       "NAME=FILE"},
      {"host", FlagSpec::Kind::kValue,
       "address to listen at, 127.0.0.1 by default; another one needs --token_file, --tls_cert and "
       "--tls_key",
       "ADDRESS"},
      {"http_port", FlagSpec::Kind::kValue, "of HTTP and the page, 8000 by default; 0: any", "N"},
      {"grpc_port", FlagSpec::Kind::kValue, "of gRPC, 8001 by default; 0: any", "N"},
      {"workers", FlagSpec::Kind::kValue,
       "how many requests are worked on at a time, each by a copy of the model and a thread; one "
       "per processor by default",
       "N"},
      {"max_batch", FlagSpec::Kind::kValue,
       "how many conversations go through the model at once; 1, the default, gives each the bits "
       "that it has alone",
       "N"},
      {"max_delay_ms", FlagSpec::Kind::kValue,
       "with --max_batch: how long a batch that is not full is waited for, 2 by default", "N"},
      {"max_queue", FlagSpec::Kind::kValue, "requests that may wait for a worker, 256 by default",
       "N"},
      {"max_body_mb", FlagSpec::Kind::kValue, "of a request, 64 by default", "N"},
      {"max_utterances", FlagSpec::Kind::kValue,
       "of a request, and of a conversation that goes on, 10000 by default", "N"},
      {"max_connections", FlagSpec::Kind::kValue, "of HTTP at the same time, 128 by default", "N"},
      {"max_streams", FlagSpec::Kind::kValue, "conversations that go on over gRPC, 64 by default",
       "N"},
      {"idle_s", FlagSpec::Kind::kValue,
       "after how many seconds without an utterance such a conversation is ended, 600 by default",
       "N"},
      {"timeout_s", FlagSpec::Kind::kValue, "how long a request may take, 30 by default", "N"},
      {"token_file", FlagSpec::Kind::kValue,
       "holds the token that requests must show (Authorization: Bearer TOKEN)", "FILE"},
      {"tls_cert", FlagSpec::Kind::kValue, "certificates of this server, PEM", "FILE"},
      {"tls_key", FlagSpec::Kind::kValue, "the key of the first of them, PEM", "FILE"},
      {"extractor", FlagSpec::Kind::kValue,
       "a command that makes features: conversations as JSON Lines on its standard input, the same "
       "with features on its standard output",
       "COMMAND"},
      SetsFlag("also"),
      SetsMethodFlag(),
      AbstainFlag("also mark answers that are less probable than this"),
  };
}

std::vector<FlagSpec> DifficultyFlags() {
  return {
      {"checkpoint", FlagSpec::Kind::kValue, "the model, usually trained without calibration",
       "FILE"},
      {"config", FlagSpec::Kind::kValue, "in place of the config in the checkpoint", "FILE"},
      SetFlag(),
      {"output", FlagSpec::Kind::kValue, "a .pkl that Python reads, or JSON for any other name",
       "FILE"},
      OverwriteFlag(),
  };
}

std::vector<FlagSpec> ExperimentFlags() {
  return {
      {"config", FlagSpec::Kind::kValue, "the plan, an ExperimentPlan in text format", "FILE"},
      {"output", FlagSpec::Kind::kValue,
       "folder for the runs and their tables; runs that it holds are not repeated", "DIR"},
      {"set", FlagSpec::Kind::kRepeatedValue,
       "merged over the config of every run: --set='training { epochs: 3 }'; may be repeated",
       "FRAGMENT"},
      {"seeds", FlagSpec::Kind::kValue, "in place of the plan's: --seeds=1,2,3 or --seeds=1-5",
       "LIST"},
      {"jobs", FlagSpec::Kind::kValue,
       "how many runs at the same time, in place of the plan's; 0: one per processor", "N"},
      {"worker", FlagSpec::Kind::kSwitch,
       "do what no other worker does: any number on any hosts that share --output "
       "(docs/many_machines.md)",
       ""},
      {"shard", FlagSpec::Kind::kValue,
       "be a worker for the I-th of N parts of the runs alone: --shard=1/4, ... --shard=4/4",
       "I/N"},
      {"patience_s", FlagSpec::Kind::kValue,
       "of a worker: after how many seconds without a sign of life another's run is taken over, 60 "
       "by "
       "default; the same for all",
       "N"},
      {"dry_run", FlagSpec::Kind::kSwitch,
       "only say which runs there are and which of them are to do", ""},
  };
}

std::vector<FlagSpec> DataFlags() {
  return {
      {"config", FlagSpec::Kind::kValue,
       "names the data set (all of it: every modality, no scaling)", "FILE"},
      SetFlag(),
      {"input", FlagSpec::Kind::kValue, "a record file or JSON Lines, in place of --config",
       "FILE"},
      {"output", FlagSpec::Kind::kValue,
       "convert: NAME.records (to train from), NAME.jsonl or NAME.npz (for NumPy)", "FILE"},
      OverwriteFlag(),
  };
}

std::vector<FlagSpec> ReportFlags() {
  return {{"output", FlagSpec::Kind::kValue, "the page, NAME.html", "FILE"}, OverwriteFlag()};
}

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const CommandSpec& command : CommandSpecs()) names.push_back(command.name);
  return names;
}

size_t MaxWords(Words words) {
  if (words == Words::kFiles) return std::numeric_limits<size_t>::max();
  return words == Words::kTopic ? 1 : 0;
}

bool AsksForHelp(const std::string& arg) { return arg == "--help" || arg == "-h"; }

}  // namespace

const std::vector<CommandSpec>& CommandSpecs() {
  static const auto* commands = new std::vector<CommandSpec>{
      {"train", "train a model as a config says, calibrated or not",
       "cmerc train --config=config/examples/quickstart.textproto --set training.seed=2",
       TrainFlags()},
      {"evaluate", "print the scores of a trained model",
       "cmerc evaluate --checkpoint=runs/quickstart/selected.pth --views", EvaluateFlags()},
      {"predict", "give every utterance of new conversations a label and a confidence",
       "cmerc predict --checkpoint=runs/quickstart/selected.pth --input=new.jsonl > "
       "predicted.jsonl\n"
       "  cmerc predict --checkpoint=runs/online/selected.pth --stream < utterances.jsonl",
       PredictFlags()},
      {"serve", "answer requests over HTTP and gRPC, with a page to try a model (docs/serve.md)",
       "cmerc serve --model=quickstart=runs/quickstart/selected.pth", ServeFlags()},
      {"difficulty", "measure how hard each training conversation is, for a curriculum",
       "cmerc difficulty --checkpoint=runs/iemocap_m3net/selected.pth --output=difficulty.json",
       DifficultyFlags()},
      {"experiment", "train every variant on every dataset with every seed, and tabulate",
       "cmerc experiment --config=config/experiments/quickstart.textproto --output=runs/experiment",
       ExperimentFlags()},
      {"data",
       "describe a data set and what may be wrong with it, or convert it",
       "cmerc data describe --config=config/examples/quickstart.textproto\n"
       "  cmerc data describe features.pkl audio_folder\n"
       "  cmerc data convert --input=corpus.jsonl --output=corpus.records",
       DataFlags(),
       Words::kFiles,
       {"describe", "convert"}},
      {"report", "draw one run, several side by side, or an experiment, as an HTML page",
       "cmerc report runs/quickstart runs/m3net --output=report.html\n"
       "  cmerc report runs/experiment --output=report.html",
       ReportFlags(), Words::kFiles},
      {"plugins",
       "list backbones, losses, schedulers, learning rates, datasets and launchers with their "
       "options",
       "cmerc plugins [backbones | losses | schedulers | learning_rates | datasets | launchers | "
       "NAME]",
       {},
       Words::kTopic},
      {"help",
       "explain a command, a plugin, or what a config may say",
       "cmerc help [COMMAND | config | losses | NAME of a plugin]",
       {},
       Words::kTopic},
  };
  return *commands;
}

absl::StatusOr<const CommandSpec*> FindCommand(const std::string& name) {
  for (const CommandSpec& command : CommandSpecs()) {
    if (command.name == name) return &command;
  }
  const std::vector<std::string> commands = CommandNames();
  std::vector<std::string> names = commands;
  names.insert(names.end(), {"--help", kVersionFlag});
  const auto habit = CommandHabits().find(name);
  const std::string nearest =
      habit != CommandHabits().end() ? habit->second : NearestName(name, names);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown command \"", name, "\"; ",
                   nearest.empty() ? "" : absl::StrCat("did you mean ", nearest, "? "),
                   "commands: ", absl::StrJoin(commands, ", ")));
}

std::string ExampleOf(const CommandSpec& command, const std::string& folder) {
  return absl::StrReplaceAll(command.example, {{"=config/", absl::StrCat("=", folder, "/")}});
}

absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& args) {
  if (args.empty() || AsksForHelp(args[0])) return CommandLine{"help", Flags()};
  if (args[0] == kVersionFlag) return CommandLine{kVersionFlag, Flags()};
  ASSIGN_OR_RETURN(const CommandSpec* command, FindCommand(args[0]));
  const std::vector<std::string> rest(args.begin() + 1, args.end());
  if (std::any_of(rest.begin(), rest.end(), AsksForHelp)) {
    return ParseCommandLine({"help", args[0]});
  }
  absl::StatusOr<Flags> flags = Flags::Parse(rest, command->flags, MaxWords(command->words));
  if (flags.ok()) return CommandLine{args[0], *std::move(flags)};
  return absl::InvalidArgumentError(
      absl::StrCat(flags.status().message(), "\n  see: cmerc help ", args[0]));
}

}  // namespace cmerc
