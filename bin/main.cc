// `cmerc`: trains and evaluates calibrated models of emotions in conversations.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bin/commands.h"
#include "bin/environment.h"
#include "bin/flags.h"
#include "config/catalogue.h"
#include "core/torch_status.h"
#include "registry/nearest_name.h"

namespace cmerc {
namespace {

constexpr int kOk = 0;
constexpr int kRunFailed = 1;
constexpr int kBadUsage = 2;

struct Command {
  std::string name;
  std::string purpose;
  std::string example;
  std::vector<FlagSpec> flags;
  size_t max_words;
  std::function<absl::Status(const Flags&)> run;
};

const std::vector<Command>& Commands();

absl::Status PluginsCommand(const Flags& flags) {
  if (flags.words().empty()) {
    std::cout << Catalogue();
    return absl::OkStatus();
  }
  const absl::StatusOr<std::string> text = Catalogue(flags.words()[0]);
  if (!text.ok()) return text.status();
  std::cout << *text;
  return absl::OkStatus();
}

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const Command& command : Commands()) names.push_back(command.name);
  return names;
}

absl::Status UnknownCommand(const std::string& name) {
  std::vector<std::string> names = CommandNames();
  names.insert(names.end(), {"--help", "--version"});
  const std::string nearest = NearestName(name, names);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown command \"", name, "\"; ",
                   nearest.empty() ? "" : absl::StrCat("did you mean ", nearest, "? "),
                   "commands: ", absl::StrJoin(CommandNames(), ", ")));
}

void PrintCommand(const Command& command) {
  std::cout << command.purpose << "\n\n  " << command.example << "\n";
  if (!command.flags.empty()) std::cout << "\n" << FlagHelp(command.flags);
}

absl::Status HelpCommand(const Flags& flags) {
  if (flags.words().empty()) {
    std::cout << "cmerc: emotion recognition in conversations, calibrated over modalities and "
                 "contexts (CMERC)\n\nUsage: cmerc COMMAND [FLAGS]\n\n";
    for (const Command& command : Commands()) {
      std::cout << absl::StrFormat("  %-12s %s\n", command.name, command.purpose);
    }
    std::cout << "\ncmerc help COMMAND shows its flags, cmerc help config what a config may say, "
                 "cmerc --version\nwhat is linked in. Exit status: 0 ok, 1 the run failed, 2 bad "
                 "usage or input.\n";
    return absl::OkStatus();
  }
  if (flags.words()[0] == "config") {
    std::cout << ConfigReference();
    return absl::OkStatus();
  }
  for (const Command& command : Commands()) {
    if (command.name != flags.words()[0]) continue;
    PrintCommand(command);
    return absl::OkStatus();
  }
  return UnknownCommand(flags.words()[0]);
}

const std::vector<Command>& Commands() {
  static const auto* commands = new std::vector<Command>{
      {"train", "train a model as a config says, calibrated or not",
       "cmerc train --config=config/examples/quickstart.textproto --set='training { seed: 2 }'",
       TrainFlags(), 0, TrainCommand},
      {"evaluate", "print the scores of a trained model",
       "cmerc evaluate --checkpoint=runs/quickstart/selected.pth --views", EvaluateFlags(), 0,
       EvaluateCommand},
      {"predict", "give every utterance of new conversations a label and a confidence",
       "cmerc predict --checkpoint=runs/quickstart/selected.pth --input=new.jsonl > "
       "predicted.jsonl",
       PredictFlags(), 0, PredictCommand},
      {"difficulty", "measure how hard each training conversation is, for a curriculum",
       "cmerc difficulty --checkpoint=runs/iemocap_m3net/selected.pth --output=difficulty.json",
       DifficultyFlags(), 0, DifficultyCommand},
      {"experiment", "train every variant on every dataset with every seed, and tabulate",
       "cmerc experiment --config=config/experiments/quickstart.textproto --output=runs/experiment",
       ExperimentFlags(), 0, ExperimentCommand},
      {"data", "describe a data set and what may be wrong with it, or convert it",
       "cmerc data describe --config=config/examples/quickstart.textproto\n"
       "  cmerc data convert --input=corpus.jsonl --output=corpus.records",
       DataFlags(), 1, DataCommand},
      {"report", "draw one run, or several side by side, as an HTML page",
       "cmerc report runs/quickstart runs/m3net --output=report.html", ReportFlags(),
       std::numeric_limits<size_t>::max(), ReportCommand},
      {"plugins",
       "list the backbones, losses, schedulers and datasets, with their options",
       "cmerc plugins [NAME]",
       {},
       1,
       PluginsCommand},
      {"help",
       "explain a command, or what a config may say",
       "cmerc help [COMMAND | config]",
       {},
       1,
       HelpCommand},
  };
  return *commands;
}

bool AsksForHelp(const std::string& arg) { return arg == "--help" || arg == "-h"; }

void PrintVersions() {
  for (const auto& [name, version] : Versions()) {
    std::cout << absl::StrFormat("%-9s %s\n", name, version);
  }
}

absl::Status Run(const std::vector<std::string>& args) {
  // `bazel run` starts programs elsewhere; the user's paths are relative to the user's folder.
  const char* folder = std::getenv("BUILD_WORKING_DIRECTORY");
  if (folder != nullptr && chdir(folder) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot change to BUILD_WORKING_DIRECTORY=", folder, ": ", std::strerror(errno),
        "; start from a folder that exists, or unset the variable"));
  }
  if (args.empty() || AsksForHelp(args[0])) return HelpCommand(Flags());
  if (args[0] == "--version") {
    PrintVersions();
    return absl::OkStatus();
  }
  for (const Command& command : Commands()) {
    if (command.name != args[0]) continue;
    const std::vector<std::string> rest(args.begin() + 1, args.end());
    if (std::any_of(rest.begin(), rest.end(), AsksForHelp)) {
      PrintCommand(command);
      return absl::OkStatus();
    }
    const absl::StatusOr<Flags> flags = Flags::Parse(rest, command.flags, command.max_words);
    if (!flags.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(flags.status().message(), "\n  see: cmerc help ", command.name));
    }
    return command.run(*flags);
  }
  return UnknownCommand(args[0]);
}

// Whether the user can mend it by other flags or files, rather than the run having failed.
bool IsBadInput(const absl::Status& status) {
  return status.code() == absl::StatusCode::kInvalidArgument ||
         status.code() == absl::StatusCode::kNotFound ||
         status.code() == absl::StatusCode::kPermissionDenied;
}

// Every line but the first begins with spaces, so that it is seen to belong to the first.
std::string Indented(const std::string& message) {
  std::vector<std::string> lines = absl::StrSplit(message, '\n');
  for (size_t i = 1; i < lines.size(); ++i) {
    if (!absl::StartsWith(lines[i], " ")) lines[i].insert(0, "  ");
  }
  return absl::StrJoin(lines, "\n");
}

int Main(int argc, char** argv) {
  absl::Status status;
  try {
    status = Run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& exception) {  // out of memory, far from LibTorch
    status = StatusFromException(exception);
  }
  std::cout.flush();
  if (status.ok() && !std::cout) {
    status = absl::UnavailableError("cannot write to standard output; is the disk full?");
  }
  if (status.ok()) return kOk;
  std::cerr << "cmerc: " << Indented(std::string(status.message())) << "\n";
  return IsBadInput(status) ? kBadUsage : kRunFailed;
}

}  // namespace
}  // namespace cmerc

int main(int argc, char** argv) { return cmerc::Main(argc, argv); }
