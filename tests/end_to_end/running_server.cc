#include "tests/end_to_end/running_server.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

namespace cmerc {

Server::Server(const std::string& folder, const std::vector<std::string>& more) {
  std::vector<std::string> args = {"serve", "--model=tiny=run/selected.pth", "--http_port=0",
                                   "--grpc_port=0"};
  args.insert(args.end(), more.begin(), more.end());
  const std::string fifo = NewFolder() + "/out";
  EXPECT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  Surroundings surroundings;
  surroundings.standard_output = fifo;
  program_ = std::make_unique<RunningProgram>("bin/cmerc", args, folder, surroundings);
  // "listening at http://127.0.0.1:8000 and, for gRPC, at 127.0.0.1:8001"; nothing where it ends.
  std::ifstream out(fifo);
  std::string line;
  std::getline(out, line);
  const size_t end = line.find(" and");
  if (end == std::string::npos) return;
  http_ = std::atoi(line.substr(line.rfind(':', end) + 1).c_str());
  grpc_ = std::atoi(line.substr(line.rfind(':') + 1).c_str());
}

void Server::Signal(int signal) const { EXPECT_EQ(kill(program_->pid(), signal), 0); }

Outcome Server::Stop() {
  Signal(SIGTERM);
  return Wait();
}

serving::HttpAnswer Server::Predict(const std::string& lines, const std::string& query) const {
  return serving::Ask(http_, "POST", "/cmerc/models/tiny/predict" + query, lines);
}

Outcome Shell(const std::string& folder, const std::string& command,
              const std::vector<std::string>& more) {
  std::vector<std::string> args = {"-ec", command};
  args.insert(args.end(), more.begin(), more.end());
  Surroundings surroundings;
  surroundings.unset = {"BUILD_WORKING_DIRECTORY"};
  return RunProgram("/bin/sh", args, folder, surroundings);
}

}  // namespace cmerc
