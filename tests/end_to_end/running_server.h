// `cmerc serve` beside a test.
#ifndef CMERC_TESTS_END_TO_END_RUNNING_SERVER_H_
#define CMERC_TESTS_END_TO_END_RUNNING_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/bin/cmerc_process.h"
#include "tests/serving/raw_client.h"

namespace cmerc {

// A server with the model "tiny", run/selected.pth of `folder`, that runs until Stop().
class Server {
 public:
  // `more`: flags. Where it does not start, its ports are 0 and Wait() says why.
  Server(const std::string& folder, const std::vector<std::string>& more);

  int http() const { return http_; }
  int grpc() const { return grpc_; }
  void Signal(int signal) const;
  Outcome Wait() { return program_->Wait(); }
  // Tells it to end, and waits.
  Outcome Stop();
  serving::HttpAnswer Predict(const std::string& lines, const std::string& query = "") const;

 private:
  std::unique_ptr<RunningProgram> program_;
  int http_ = 0, grpc_ = 0;
};

// Runs a command of the shell in `folder`; `more` are its $0, $1 and so on.
Outcome Shell(const std::string& folder, const std::string& command,
              const std::vector<std::string>& more = {});

}  // namespace cmerc

#endif  // CMERC_TESTS_END_TO_END_RUNNING_SERVER_H_
