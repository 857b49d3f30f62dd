// What the commands do where a launcher (torchrun, mpirun, srun) has started several processes.
#ifndef CMERC_BIN_LAUNCH_H_
#define CMERC_BIN_LAUNCH_H_

#include <iostream>
#include <streambuf>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bin/flags.h"
#include "config/run.pb.h"
#include "processes/who_am_i.h"

namespace cmerc {

// InvalidArgument: several processes were started for `command`, all of which would write the same
// --output. `train` does its work with all of them; --shard and --worker divide it.
absl::Status CheckOneProcess(const std::string& command, const Flags& flags);

// Takes the launcher's variables away from this process, so that a `cmerc train` that it starts is
// one process.
void ForgetLauncher();

// Who this process of `cmerc train` is. InvalidArgument: WhoAmI() does not know, or the flags or
// `config` are for one process.
absl::StatusOr<ProcessIdentity> TrainingProcess(const Flags& flags, const RunConfig& config);

// While this exists, nothing is written to std::cout and std::cerr: rank 0 says it for all.
class SilentStreams {
 public:
  SilentStreams() : out_(std::cout.rdbuf(&nothing_)), err_(std::cerr.rdbuf(&nothing_)) {}
  SilentStreams(const SilentStreams&) = delete;
  SilentStreams& operator=(const SilentStreams&) = delete;
  ~SilentStreams() {
    std::cout.rdbuf(out_);
    std::cerr.rdbuf(err_);
  }

 private:
  // Takes everything and keeps nothing.
  class Nothing : public std::streambuf {
    int overflow(int c) override { return traits_type::not_eof(c); }
  };

  Nothing nothing_;
  std::streambuf* const out_;
  std::streambuf* const err_;
};

}  // namespace cmerc

#endif  // CMERC_BIN_LAUNCH_H_
