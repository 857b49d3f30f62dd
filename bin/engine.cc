// The engine of `cmerc`: every command that needs LibTorch or the plugins. bin/main.cc starts it in
// its own place.
#include <google/protobuf/stubs/logging.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bin/command_line.h"
#include "bin/commands.h"
#include "bin/environment.h"
#include "bin/exit_status.h"
#include "bin/launch.h"
#include "config/catalogue.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "registry/nearest_name.h"
#include "registry/registry.h"
#include "training/allocator.h"

namespace cmerc {
namespace {

absl::Status PluginsCommand(const Flags& flags) {
  if (flags.words().empty()) {
    std::cout << Catalogue();
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::string text, Catalogue(flags.words()[0]));
  std::cout << text;
  return absl::OkStatus();
}

// The plugin that is spelled most like `topic`, or "".
std::string NearestPlugin(const std::string& topic) {
  std::vector<std::string> names;
  for (const RegistryBase* registry : AllRegistries()) {
    names.push_back(PluralKind(registry->kind()));
    for (const auto& [type, plugin] : registry->plugins()) names.push_back(ShortPluginName(type));
  }
  return NearestName(topic, names);
}

// The part of `help` that needs the plugins: `help config`, `help training`, `help losses`, `help
// Gru`.
absl::Status HelpCommand(const Flags& flags) {
  if (flags.words().empty()) {
    return absl::InvalidArgumentError("this is the engine; `cmerc`, beside it, has the help");
  }
  const std::string& topic = flags.words()[0];
  std::string text = topic == "config" ? ConfigReference() : "";
  const absl::StatusOr<std::string> plugins = Catalogue(topic);
  if (text.empty() && plugins.ok()) text = *plugins;
  if (text.empty()) text = ConfigReference(topic);
  if (text.empty()) {
    const std::string nearest = NearestPlugin(topic);
    const absl::Status no_command = FindCommand(topic).status();
    if (no_command.ok()) {
      return absl::InvalidArgumentError("this is the engine; `cmerc`, beside it, has that help");
    }
    return absl::InvalidArgumentError(
        absl::StrCat(no_command.message(), "\nnor is it a plugin or a part of a config; ",
                     nearest.empty() ? "" : absl::StrCat("did you mean ", nearest, "? "),
                     "cmerc plugins lists the ones, cmerc help config the others"));
  }
  std::cout << text;
  return absl::OkStatus();
}

absl::Status ServeCommand(const Flags&) {
  return absl::InvalidArgumentError("this is the engine; `cmerc`, beside it, starts the server");
}

absl::Status VersionCommand(const Flags&) {
  for (const auto& [name, version] : Versions()) {
    std::cout << absl::StrFormat("%-9s %s\n", name, version);
  }
  return absl::OkStatus();
}

absl::Status Run(const std::vector<std::string>& args) {
  // `bazel run` starts programs elsewhere; the user's paths are relative to the user's folder.
  const char* folder = std::getenv("BUILD_WORKING_DIRECTORY");
  if (folder != nullptr && chdir(folder) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot change to BUILD_WORKING_DIRECTORY=", folder, ": ", std::strerror(errno),
        "; start from a folder that exists, or unset the variable"));
  }
  const std::map<std::string, std::function<absl::Status(const Flags&)>> commands = {
      {"train", TrainCommand},
      {"evaluate", EvaluateCommand},
      {"predict", PredictCommand},
      {"difficulty", DifficultyCommand},
      {"experiment", ExperimentCommand},
      {"data", DataCommand},
      {"report", ReportCommand},
      {"plugins", PluginsCommand},
      {"help", HelpCommand},
      {"serve", ServeCommand},
      {"--version", VersionCommand},
  };
  ASSIGN_OR_RETURN(const CommandLine line, ParseCommandLine(args));
  RETURN_IF_ERROR(CheckOneProcess(line.command, line.flags));
  if (line.command != "train") ForgetLauncher();
  return commands.at(line.command)(line.flags);
}

int Main(int argc, char** argv) {
  KeepFreedMemory();
  // A file that grows beyond the limit of the shell is an error of write(), not the end.
  std::signal(SIGXFSZ, SIG_IGN);
  // The commands say themselves what is wrong with their input; Protobuf must not say it too.
  google::protobuf::SetLogHandler(nullptr);
  absl::Status status;
  try {
    status = Run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& exception) {  // out of memory, far from LibTorch
    status = StatusFromException(exception);
  }
  return Finish(status);
}

}  // namespace
}  // namespace cmerc

int main(int argc, char** argv) { return cmerc::Main(argc, argv); }
