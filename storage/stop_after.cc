#include "storage/stop_after.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/atomic_file.h"

namespace cmerc {

std::string StopAfterFile(const std::string& folder) { return folder + "/stop_after.txt"; }

absl::StatusOr<int> ReadStopAfter(const std::string& folder) {
  std::ifstream in(StopAfterFile(folder), std::ios::binary);
  if (!in && access(StopAfterFile(folder).c_str(), F_OK) != 0) return 0;
  std::string text(32, '\0');
  in.read(&text[0], static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  absl::StripAsciiWhitespace(&text);
  int epochs = 0;
  if (absl::SimpleAtoi(text, &epochs) && epochs > 0) return epochs;
  return absl::InvalidArgumentError(
      absl::StrCat(StopAfterFile(folder), " holds \"", text,
                   "\", must be the number of epochs after which the run is to stop, at least 1; "
                   "remove the file for a run to the end"));
}

absl::Status WriteStopAfter(const std::string& folder, int epochs) {
  const std::string file = StopAfterFile(folder);
  if (epochs > 0) return WriteFileAtomically(file, absl::StrCat(epochs, "\n"));
  if (unlink(file.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot remove ", file, ": ", std::strerror(errno)));
}

}  // namespace cmerc
