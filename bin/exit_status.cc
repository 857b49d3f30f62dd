#include "bin/exit_status.h"

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "bin/stop_signal.h"

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

// The message with control characters spelled out: a name that a file gives must not control the
// terminal.
std::string Printable(absl::string_view message) {
  std::string printable;
  for (size_t i = 0; i < message.size(); ++i) {
    const auto byte = static_cast<uint8_t>(message[i]);
    const auto next = static_cast<uint8_t>(i + 1 < message.size() ? message[i + 1] : 0);
    if (byte == 0xC2 && next >= 0x80 && next < 0xA0) {  // U+0080 to U+009F
      absl::StrAppendFormat(&printable, "\\u%04x", next);
      ++i;
    } else if (byte == 0x7F || (byte < 0x20 && byte != '\n' && byte != '\t')) {
      absl::StrAppendFormat(&printable, "\\x%02x", byte);
    } else {
      printable.push_back(message[i]);
    }
  }
  return printable;
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
