// What opens gzip, zlib and deflated records (bytes/inflate).
//
//   tests/fuzz/run.sh inflate -max_total_time=300
//
// Laws: an error is InvalidArgument; a file opens to at most MostInflated() of its size, and takes
// no more memory than twice that; a stream gives what Inflate() gives, or its beginning and the
// same error; what is compressed is opened as equal.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "bytes/inflate.h"
#include "tests/bytes/packed.h"
#include "tests/fuzz/law.h"

namespace cmerc::fuzz {
namespace {

void CheckFile(const std::string& file) {
  const uint64_t most = MostInflated(file.size());
  const PeakMemory memory;
  const absl::StatusOr<std::string> opened = Inflate(file);
  memory.CheckAtMost(most, 2.1, size_t{1} << 20);
  if (!opened.ok()) CheckError(opened.status());
  Law(!opened.ok() || opened->size() <= most, "what is opened is bounded by the file");

  std::istringstream in(file);
  InflatingBuffer buffer(in, file.size());
  std::string streamed;
  for (absl::string_view piece = buffer.Peek(); !piece.empty(); piece = buffer.Peek()) {
    std::string taken(piece.size(), '\0');
    buffer.sgetn(taken.data(), static_cast<std::streamsize>(taken.size()));
    Law(taken == piece, "what is peeked at is read");
    streamed += taken;
  }
  Law(streamed.size() <= most, "what is streamed is bounded by the file");
  // A stream does not look for what follows a zlib file's end.
  if (opened.ok()) Law(buffer.status().ok() && streamed == *opened, "streams give the same");
  if (!buffer.status().ok()) {
    CheckError(buffer.status());
    Law(!opened.ok(), "streams refuse nothing else", buffer.status().ToString());
  }
}

void Run(const std::string& input) {
  CheckFile(input);
  for (const uint64_t size : {uint64_t{0}, uint64_t{100}, uint64_t{input.size()} * 3}) {
    const absl::StatusOr<std::string> raw = InflateRaw(input, size);
    if (!raw.ok()) CheckError(raw.status());
    Law(!raw.ok() || (raw->size() == size && InflatedHead(input, size) == *raw),
        "records are of the size that was said");
  }
  Law(Inflate(Gzip(input)).value_or("x") == input && Inflate(Zlib(input)).value_or("x") == input &&
          InflateRaw(Deflate(input), input.size()).value_or("x") == input,
      "what is compressed is opened");
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cmerc::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
