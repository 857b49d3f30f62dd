#include "bin/predict_part.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bin/predict_options.h"
#include "bin/predict_output.h"
#include "core/status.h"
#include "datasets/formats/conversation_file.h"
#include "profile/progress.h"

namespace cmerc {
namespace {

// How many conversations a file has, whether they can be predicted or not; errors are those of
// reading it.
absl::StatusOr<int64_t> CountConversations(const std::string& path) {
  // The keys of JSON Lines are not looked at.
  ASSIGN_OR_RETURN(const std::unique_ptr<ConversationFile> file, ConversationFile::Open(path));
  Progress progress("count", Progress::kUnknown, "conversation");
  for (int64_t count = 0;; ++count) {
    ASSIGN_OR_RETURN(const bool found, file->Skip());
    if (!found) return count;
    progress.UpdateShare(count, file->ShareRead());
  }
}

}  // namespace

absl::Status CheckPartFlags(const Flags& flags) {
  const std::string output = flags.has("output") ? flags.Get("output") : "-";
  for (const char* flag : {"shard", "resume"}) {
    if (!flags.has(flag)) continue;
    if (flags.has("stream")) {
      return BadFlag(flag,
                     " is about whole conversations, and --stream answers utterances as they come; "
                     "keep one");
    }
    if (flags.Get("input") == "-") {
      return BadFlag(
          flag,
          " goes over a part of the conversations, and those of standard input come once; "
          "write them to a file, and name that: --input=FILE");
    }
    if (IsTable(output)) {
      return BadFlag(flag, absl::StrCat(" takes answers apart line by line, and --output=", output,
                                        " is a table, whose rows are utterances; name it .jsonl"));
    }
  }
  if (flags.has("resume")) {
    if (output == "-") {
      return BadFlag("resume", " goes on with a file of answers; name it: --output=NAME.jsonl");
    }
    if (flags.has("overwrite")) {
      return BadFlag("resume",
                     " goes on with what is there, and --overwrite replaces it; keep one");
    }
  }
  return flags.has("shard") ? Shard::Parse(flags.Get("shard")).status() : absl::OkStatus();
}

absl::StatusOr<InputPart> PartOf(const Flags& flags, int64_t size, int64_t batch_size) {
  InputPart part;
  part.range = {0, size};
  if (flags.has("shard")) {
    ASSIGN_OR_RETURN(const Shard shard, Shard::Parse(flags.Get("shard")));
    part.is_whole = false;
    part.range = shard.Of(size, batch_size);
  }
  if (!flags.has("resume")) return part;
  part.output = flags.Get("output");
  ASSIGN_OR_RETURN(part.file, ResumedFile::Open(part.output, batch_size));
  part.written = part.file->lines();
  if (part.written > 0) part.known = (part.written - 1) / batch_size * batch_size;
  return part;
}

absl::StatusOr<InputPart> PartOfInput(const Flags& flags, int64_t batch_size) {
  if (!flags.has("shard")) return PartOf(flags, std::numeric_limits<int64_t>::max(), batch_size);
  ASSIGN_OR_RETURN(const int64_t size, CountConversations(flags.Get("input")));
  return PartOf(flags, size, batch_size);
}

}  // namespace cmerc
