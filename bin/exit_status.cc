#include "bin/exit_status.h"

#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bin/stop_signal.h"
#include "core/printable.h"

namespace cmerc {
namespace {

constexpr int kOk = 0;
constexpr int kRunFailed = 1;
constexpr int kBadUsage = 2;
constexpr int kSignal = 128;  // as shells have it

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

}  // namespace

int Finish(absl::Status status) {
  std::cout.flush();
  if (status.ok() && !std::cout) {
    status =
        absl::UnavailableError("cannot write to standard output; is it closed, or the disk full?");
  }
  if (status.ok()) return kOk;
  std::cerr << "cmerc: " << Indented(Printable(status.message())) << "\n";
  if (absl::IsCancelled(status) && StopSignal() != 0) return kSignal + StopSignal();
  return IsBadInput(status) ? kBadUsage : kRunFailed;
}

}  // namespace cmerc
