// The record file reader (datasets/record_file, conversation, records.proto's wire format).
//
//   tests/fuzz/run.sh records -max_total_time=300
//
// The mutator makes frames' sizes and checksums right again most of the time: no other change would
// get past them.
//
// Laws: an error is InvalidArgument and names file and record, and ends the reading; memory is
// bounded by the size of the input, whatever sizes it claims; a record that is accepted keeps the
// format's promises; the file is written back as the same records; a record is a line of JSON that
// gives the same line again.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/json_lines.h"
#include "datasets/formats/record_file.h"
#include "tests/fuzz/law.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace cmerc::fuzz {
namespace {

constexpr size_t kFileHeader = 12, kFrameHeader = 8;

struct Contents {
  DatasetSchema schema;
  std::vector<ConversationRecord> records;
  absl::Status status;
};

Contents Read(const std::string& bytes) {
  Contents contents;
  std::istringstream in(bytes);
  const auto reader = RecordFileReader::Open(in, "fuzz");
  contents.status = reader.status();
  if (!reader.ok()) return contents;
  contents.schema = (*reader)->schema();
  while (true) {
    auto record = (*reader)->Next();
    contents.status = record.status();
    if (!record.ok()) {
      const auto more = (*reader)->Next();
      Law(more.ok() && !more->has_value(), "an error ends the reading");
    }
    if (!record.ok() || !record->has_value()) return contents;
    contents.records.push_back(**std::move(record));
  }
}

void CheckJson(const ConversationRecord& record) {
  const std::string json = ConversationToJson(record);
  const absl::StatusOr<ConversationRecord> again = ConversationFromJson(json);
  Law(again.ok(), "what is written as JSON is read", again.status().ToString());
  Law(ConversationToJson(*again) == json, "what is written as JSON is read as equal", json);
}

void CheckWritten(const Contents& contents) {
  std::string bytes;
  const auto writer = RecordFileWriter::Create(contents.schema, [&](absl::string_view piece) {
    absl::StrAppend(&bytes, piece);
    return absl::OkStatus();
  });
  Law(writer.ok(), "a schema that was read is written", writer.status().ToString());
  for (const ConversationRecord& record : contents.records) {
    const absl::Status written = (*writer)->Write(record);
    Law(written.ok(), "a record that was read is written", written.ToString());
    CheckJson(record);
  }
  Law((*writer)->Finish().ok(), "the end is written");
  const Contents again = Read(bytes);
  Law(again.status.ok(), "what is written is read", again.status.ToString());
  Law(again.schema.SerializeAsString() == contents.schema.SerializeAsString() &&
          again.records.size() == contents.records.size(),
      "what is written is read as equal");
  for (size_t i = 0; i < again.records.size(); ++i) {
    Law(again.records[i].SerializeAsString() == contents.records[i].SerializeAsString(),
        "what is written is read as equal", contents.records[i].DebugString());
  }
}

void Run(const std::string& bytes) {
  {
    // A reader believes a claimed size as far as 4 MiB, and an empty message of 2 bytes in the file
    // is an object of up to 100. Protobuf believes the claimed size of a text inside a message as
    // far as 50 MB, before it refuses the message.
    const PeakMemory memory;
    const Contents contents = Read(bytes);
    const bool refused = absl::StrContains(contents.status.message(), ": holds no ");
    memory.CheckAtMost(bytes.size(), 200, (size_t{5} << 20) + (refused ? size_t{50'000'000} : 0));
    if (!contents.status.ok()) CheckError(contents.status, "fuzz, ");
  }
  const Contents contents = Read(bytes);
  // As far as they were right.
  if (!contents.schema.modalities().empty()) CheckWritten(contents);
}

uint32_t Number(const std::string& bytes, size_t at) {
  uint32_t number;
  std::memcpy(&number, &bytes[at], sizeof(number));
  return number;
}

void SetNumber(uint32_t number, size_t at, std::string* bytes) {
  std::memcpy(&(*bytes)[at], &number, sizeof(number));
}

// Gives every frame from the front the checksum of what is in it; the last one may be cut to fit.
void Repair(std::string* bytes) {
  size_t at = kFileHeader;
  while (bytes->size() >= at + kFrameHeader) {
    const size_t left = bytes->size() - at - kFrameHeader;
    size_t size = Number(*bytes, at);
    if (size > left) SetNumber(static_cast<uint32_t>(size = left), at, bytes);
    const size_t message = size == 0 ? std::min<size_t>(left, 8) : size;
    auto crc = crc32(0, reinterpret_cast<const Bytef*>(&(*bytes)[at]), 4);
    if (message > 0) {
      crc = crc32(crc, reinterpret_cast<const Bytef*>(&(*bytes)[at + kFrameHeader]),
                  static_cast<uInt>(message));
    }
    SetNumber(static_cast<uint32_t>(crc), at + 4, bytes);
    at += kFrameHeader + message;
  }
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cmerc::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (std::minstd_rand(seed)() % 8 == 0) return size;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  cmerc::fuzz::Repair(&bytes);
  std::memcpy(data, bytes.data(), bytes.size());
  return size;
}
