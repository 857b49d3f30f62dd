// cmerc_serve, the server: reads its command line, loads the models, listens, and ends in good
// order.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "bin/acting_flags.h"
#include "bin/command_line.h"
#include "bin/environment.h"
#include "bin/exit_status.h"
#include "bin/predict_options.h"
#include "bin/this_program.h"
#include "core/status.h"
#include "google/protobuf/stubs/logging.h"
#include "serving/grpc_server.h"
#include "serving/http_server.h"
#include "serving/model_server.h"

namespace cmerc::serving {
namespace {

// The value of a flag that is a number, or what it is by default. InvalidArgument: it is none from
// `least` to `most`.
absl::StatusOr<int64_t> NumberFlag(const Flags& flags, const std::string& name, int64_t by_default,
                                   int64_t least, int64_t most) {
  if (!flags.has(name)) return by_default;
  int64_t value = 0;
  if (absl::SimpleAtoi(flags.Get(name), &value) && value >= least && value <= most) return value;
  return BadFlag(
      name, absl::StrCat("=", flags.Get(name), ", must be an integer from ", least, " to ", most));
}

bool IsModelName(const std::string& name) {
  return !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
  });
}

absl::StatusOr<std::map<std::string, std::string>> ModelsOf(const Flags& flags) {
  std::map<std::string, std::string> models;
  for (const std::string& model : flags.All("model")) {
    const size_t equals = model.find('=');
    const std::string name = model.substr(0, equals);
    if (equals == std::string::npos || equals + 1 == model.size() || !IsModelName(name)) {
      return BadFlag("model", absl::StrCat("=", model,
                                           ", want NAME=FILE, the name of letters, digits, _ - and "
                                           ".: --model=meld=runs/meld/selected.pth"));
    }
    if (!models.emplace(name, model.substr(equals + 1)).second) {
      return BadFlag("model", absl::StrCat("=", model, ": ", name, " is there twice"));
    }
  }
  if (!models.empty()) return models;
  return absl::InvalidArgumentError(
      "--model is missing, want NAME=FILE: --model=meld=runs/meld/selected.pth");
}

absl::StatusOr<ModelServerOptions> ModelOptionsOf(const Flags& flags) {
  ModelServerOptions options;
  ASSIGN_OR_RETURN(options.models, ModelsOf(flags));
  ASSIGN_OR_RETURN(options.acting, ActingFlags::Of(flags));
  const auto processors = std::max<int64_t>(1, std::thread::hardware_concurrency());
  ASSIGN_OR_RETURN(const int64_t workers, NumberFlag(flags, "workers", processors, 1, 256));
  ASSIGN_OR_RETURN(const int64_t batch, NumberFlag(flags, "max_batch", 1, 1, 1024));
  ASSIGN_OR_RETURN(const int64_t delay, NumberFlag(flags, "max_delay_ms", 2, 0, 1000));
  ASSIGN_OR_RETURN(const int64_t waiting, NumberFlag(flags, "max_queue", 256, 1, 1000000));
  options.queue = {static_cast<int>(workers), static_cast<size_t>(waiting),
                   static_cast<size_t>(batch), std::chrono::milliseconds(delay)};
  ASSIGN_OR_RETURN(options.max_utterances, NumberFlag(flags, "max_utterances", 10000, 1, 1000000));
  options.extractor = flags.Get("extractor");
  return options;
}

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  const std::string token(absl::StripAsciiWhitespace(text.str()));
  if (!file || token.size() < 16 ||
      !std::all_of(token.begin(), token.end(), [](char c) { return absl::ascii_isgraph(c); })) {
    return BadFlag("token_file",
                   absl::StrCat("=", path,
                                ": want a file with one word of at least 16 printable "
                                "characters: openssl rand -hex 32 > ",
                                path));
  }
  return token;
}

absl::StatusOr<ListenOptions> ListenOptionsOf(const Flags& flags) {
  ListenOptions options;
  if (flags.has("host")) options.host = flags.Get("host");
  ASSIGN_OR_RETURN(const int64_t body, NumberFlag(flags, "max_body_mb", 64, 1, 1024));
  ASSIGN_OR_RETURN(const int64_t seconds, NumberFlag(flags, "timeout_s", 30, 1, 3600));
  ASSIGN_OR_RETURN(const int64_t connections, NumberFlag(flags, "max_connections", 128, 1, 10000));
  ASSIGN_OR_RETURN(const int64_t streams, NumberFlag(flags, "max_streams", 64, 1, 10000));
  ASSIGN_OR_RETURN(const int64_t idle, NumberFlag(flags, "idle_s", 600, 1, 1000000));
  options.max_body = static_cast<size_t>(body) << 20;
  options.timeout = std::chrono::seconds(seconds);
  options.max_connections = static_cast<int>(connections);
  options.max_streams = static_cast<int>(streams);
  options.idle = std::chrono::seconds(idle);
  if (flags.has("token_file")) {
    ASSIGN_OR_RETURN(options.token, ReadToken(flags.Get("token_file")));
  }
  options.tls_cert = flags.Get("tls_cert");
  options.tls_key = flags.Get("tls_key");
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return BadFlag(options.tls_cert.empty() ? "tls_key" : "tls_cert",
                   " needs the other one of --tls_cert and --tls_key");
  }
  if (!IsLoopback(options.host) && (options.token.empty() || options.tls_cert.empty())) {
    return BadFlag(
        "host", absl::StrCat("=", options.host,
                             " can be reached from elsewhere: that needs --token_file, --tls_cert "
                             "and --tls_key (docs/serve.md#beyond-this-machine)"));
  }
  return options;
}

// The signals that the main thread waits for; every thread that starts later has them blocked.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Ends the process when the user is impatient.
void EndAtOnceOn(sigset_t signals) {
  std::thread([signals] {
    int signal = 0;
    do {
      sigwait(&signals, &signal);
    } while (signal == SIGHUP);
    std::_Exit(128 + signal);
  }).detach();
}

absl::Status Serve(const Flags& flags) {
  ASSIGN_OR_RETURN(const ModelServerOptions model_options, ModelOptionsOf(flags));
  ASSIGN_OR_RETURN(ListenOptions options, ListenOptionsOf(flags));
  ASSIGN_OR_RETURN(const int64_t http_port, NumberFlag(flags, "http_port", 8000, 0, 65535));
  ASSIGN_OR_RETURN(const int64_t grpc_port, NumberFlag(flags, "grpc_port", 8001, 0, 65535));
  const sigset_t signals = BlockSignals();
  RETURN_IF_ERROR(SetThreads(1));
  ASSIGN_OR_RETURN(const std::unique_ptr<ModelServer> server, ModelServer::Create(model_options));
  options.port = static_cast<int>(http_port);
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> http,
                   HttpServer::Start(options, server.get()));
  options.port = static_cast<int>(grpc_port);
  ASSIGN_OR_RETURN(const std::unique_ptr<GrpcServer> grpc,
                   GrpcServer::Start(options, server.get()));
  const char* scheme = options.tls_cert.empty() ? "http" : "https";
  std::cout << "listening at " << scheme << "://" << options.host << ":" << http->port()
            << " and, for gRPC, at " << options.host << ":" << grpc->port() << std::endl;
  int signal = 0;
  while (sigwait(&signals, &signal) == 0 && signal == SIGHUP) server->Reload();
  std::cerr << "\nanswering what has come; once more stops at once\n";
  EndAtOnceOn(signals);
  server->BeginToStop();
  std::thread stop_http([&http = *http] { http.Stop(); });
  grpc->Stop();
  stop_http.join();
  server->Drain();
  return absl::OkStatus();
}

absl::Status Run(std::vector<std::string> args) {
  // `bazel run` starts programs elsewhere; the user's paths are relative to the user's folder.
  const char* folder = std::getenv("BUILD_WORKING_DIRECTORY");
  if (folder != nullptr && chdir(folder) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "cannot change to BUILD_WORKING_DIRECTORY=", folder, ": ", std::strerror(errno)));
  }
  // `cmerc serve` becomes this program with its own arguments.
  if (args.empty() || args[0] != "serve") args.insert(args.begin(), "serve");
  ASSIGN_OR_RETURN(const CommandLine line, ParseCommandLine(args));
  if (line.command != "serve") {
    std::cout << FlagHelp((*FindCommand("serve"))->flags);
    return absl::OkStatus();
  }
  return Serve(line.flags);
}

}  // namespace
}  // namespace cmerc::serving

int main(int argc, char** argv) {
  google::protobuf::SetLogHandler(nullptr);
  return cmerc::Finish(cmerc::serving::Run(std::vector<std::string>(argv + 1, argv + argc)));
}
