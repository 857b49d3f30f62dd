// Files of conversations as a path gives them (datasets/formats/conversation_file): .npz, and JSON
// Lines and record files that are compressed.
//
//   tests/fuzz/run.sh conversation_file -max_total_time=300
//
// The first byte says what the rest is: 'z' what is compressed by gzip first; otherwise the whole
// input is the file.
//
// Laws: an error is InvalidArgument and names the file; the reading comes to an end; memory is
// bounded by the size of the file, and by MostInflated() of it where it is compressed; a
// conversation that is accepted keeps the format's promises, and fits the schema where there is
// one.
#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "bytes/inflate.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/conversation_file.h"
#include "tests/bytes/packed.h"
#include "tests/fuzz/law.h"
#include "tests/fuzz/memory_file.h"
#include "tests/fuzz/zip_repair.h"

namespace cmerc::fuzz {
namespace {

void Read(const std::string& path) {
  const auto file = ConversationFile::Open(path);
  if (!file.ok()) return CheckError(file.status(), path);
  // A line may be one byte, and is refused.
  for (int64_t left = int64_t{1} << 26; left > 0; --left) {
    const auto record = (*file)->Next();
    if (!record.ok()) {
      CheckError(record.status(), path);
      continue;
    }
    if (!record->has_value()) return;
    const absl::Status status = CheckRecord(**record);
    Law(status.ok(), "what is accepted keeps the format's promises", status.ToString());
    if ((*file)->schema() != nullptr) {
      Law(CheckFitsSchema(**record, *(*file)->schema()).ok(), "what is accepted fits the schema");
    }
    Law(!(*file)->Place().empty(), "a conversation has a place");
  }
  Law(false, "the reading comes to an end");
}

}  // namespace

void Run(std::string input) {
  static auto* file = new MemoryFile;
  if (absl::StartsWith(input, "z")) input = Gzip(input.substr(1));
  file->Write(input);
  const bool compressed = absl::StartsWith(input, "\x1F\x8B") || absl::StartsWith(input, "x") ||
                          absl::StartsWith(input, "PK");
  const PeakMemory memory;
  Read(file->path());
  // 50 MB are what Protobuf may believe of a record file (records_fuzz.cc).
  memory.CheckAtMost(compressed ? MostInflated(input.size()) : input.size(), 200, 55'000'000);
}

}  // namespace cmerc::fuzz
