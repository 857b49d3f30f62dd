// The program that makes features of words and sound for the server (--extractor).
#ifndef CMERC_SERVING_EXTRACTOR_H_
#define CMERC_SERVING_EXTRACTOR_H_

#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "serving/work_queue.h"

namespace cmerc::serving {

// The program ignores SIGPIPE: a command may end without reading what it is given.
class Extractor {
 public:
  // `command` is for the shell. It reads conversations as JSON Lines, without features, from
  // standard input until that ends, and writes the same with features to standard output.
  explicit Extractor(std::string command) : command_(std::move(command)) {}

  // What the command makes of `lines`. One command runs at a time; more wait for it.
  // InvalidArgument: it did not end well; the message has the end of what it said on standard
  // error. DeadlineExceeded: it took too long, and was ended. ResourceExhausted: it wrote more than
  // 256 MiB. Unavailable: it could not be started.
  absl::StatusOr<std::string> Run(const std::string& lines, Deadline deadline);

 private:
  const std::string command_;
  std::timed_mutex mutex_;
};

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_EXTRACTOR_H_
