// Difficulty files, the project's own and the official code's (calibration/difficulty_file.cc).
//
//   tests/fuzz/run.sh difficulty -max_total_time=300
//
// Laws: an error is InvalidArgument and names the file; memory is bounded by the size of the file;
// difficulties are finite and every id occurs once; a table that is accepted is written back, in
// both forms, and read again as equal.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "calibration/difficulty.h"
#include "tests/fuzz/law.h"
#include "tests/fuzz/memory_file.h"

namespace cmerc::fuzz {
namespace {

bool IsAscii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0; });
}

void CheckWritten(const MeasuredDifficulties& measured) {
  for (const char* name : {"again.json", "again.pkl"}) {
    const std::string path = TemporaryPath(name);
    const absl::Status written = WriteDifficulties(path, measured, /*numeric_ids=*/true);
    Law(written.ok(), "what was read is written", written.ToString());
    const absl::StatusOr<MeasuredDifficulties> again = ReadDifficulties(path);
    Law(again.ok(), "what is written is read", again.status().ToString());
    Law(again->table == measured.table, "what is written is read as equal", name);
  }
}

void Run(const std::string& bytes) {
  static auto* file = new MemoryFile;
  file->Write(bytes);
  const PeakMemory memory;
  const absl::StatusOr<MeasuredDifficulties> read = ReadDifficulties(file->path());
  memory.CheckAtMost(bytes.size(), 400, size_t{4} << 20);
  if (!read.ok()) {
    CheckError(read.status());
    Law(absl::StrContains(read.status().message(), file->path()), "an error names the file",
        read.status().ToString());
    return;
  }
  std::set<std::string> ids;
  bool ascii = true;
  for (const auto& [id, difficulty] : read->table) {
    Law(std::isfinite(difficulty) && ids.insert(id).second, "difficulties are finite, ids unique");
    ascii = ascii && IsAscii(id);
  }
  // The pickle of a data set has bytes for ids, the writers want text.
  if (ascii) CheckWritten(*read);
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cmerc::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
