// The JSON Lines reader (datasets/formats/json_lines, json_cursor, conversation), which `cmerc
// predict` reads its input with as well.
//
//   tests/fuzz/run.sh json_lines -max_total_time=300
//
// Laws: an error is InvalidArgument and names file and line, and reading goes on behind it; memory
// is bounded by the size of the input; a conversation that is accepted keeps the format's promises
// (CheckRecord), and is written back and read again as equal.
#include <google/protobuf/util/message_differencer.h>

#include <cstdint>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/json_lines.h"
#include "tests/fuzz/law.h"

namespace cmerc::fuzz {
namespace {

using google::protobuf::util::MessageDifferencer;

void CheckWritten(const ConversationRecord& record, UnknownKeys unknown_keys) {
  const absl::Status status = CheckRecord(record);
  Law(status.ok(), "what is accepted keeps the format's promises", status.ToString());
  const std::string json = ConversationToJson(record);
  Law(!absl::StrContains(json, '\n'), "a conversation is one line", json);
  const absl::StatusOr<ConversationRecord> again = ConversationFromJson(json, unknown_keys);
  Law(again.ok(), "what is written is read", again.status().ToString());
  Law(MessageDifferencer::Equals(record, *again), "what is written is read as equal", json);
}

void Run(const std::string& text, UnknownKeys unknown_keys) {
  std::istringstream in(text);
  int64_t line = 0;
  const PeakMemory memory;
  JsonLinesReader reader(in, "fuzz", unknown_keys);
  while (true) {
    const auto record = reader.Next();
    if (record.ok() && !record->has_value()) break;
    Law(reader.line() > line, "every answer is of a line of its own");
    line = reader.line();
    if (record.ok()) {
      CheckWritten(**record, unknown_keys);
    } else {
      CheckError(record.status(), absl::StrCat("fuzz, line ", line, ": "));
    }
  }
  // What is written and read again counts too.
  memory.CheckAtMost(text.size(), 200, size_t{1} << 20);
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (const auto unknown_keys : {cmerc::UnknownKeys::kRefuse, cmerc::UnknownKeys::kKeep}) {
    cmerc::fuzz::Run({reinterpret_cast<const char*>(data), size}, unknown_keys);
  }
  return 0;
}
