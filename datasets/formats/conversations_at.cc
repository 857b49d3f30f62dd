#include "datasets/formats/conversations_at.h"

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "bytes/crc32.h"
#include "datasets/formats/json_lines.h"

namespace cmerc {

absl::StatusOr<std::unique_ptr<ConversationsAt>> ConversationsAt::Open(
    const std::string& path, const ConversationFile& file) {
  std::unique_ptr<ConversationsAt> at(new ConversationsAt(path, file.schema() != nullptr));
  at->file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (at->file_ >= 0) return at;
  return absl::UnavailableError(
      absl::StrCat(path, ": cannot be opened again: ", std::strerror(errno)));
}

ConversationsAt::~ConversationsAt() {
  if (file_ >= 0) close(file_);
}

absl::Status ConversationsAt::HasChanged(const BytesOfConversation& bytes) const {
  return absl::FailedPreconditionError(absl::StrCat(
      path_, ": has changed since it was opened, at bytes ", bytes.begin, " to ",
      bytes.begin + bytes.size, "; leave it as it is while it is in use, and start again"));
}

absl::StatusOr<ConversationRecord> ConversationsAt::Read(const BytesOfConversation& bytes) const {
  std::string text(static_cast<size_t>(bytes.size), '\0');
  for (size_t done = 0; done < text.size();) {
    const ssize_t count =
        pread(file_, &text[done], text.size() - done, bytes.begin + static_cast<int64_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return absl::UnavailableError(absl::StrCat(path_, ": cannot be read at byte ",
                                                 bytes.begin + static_cast<int64_t>(done), ": ",
                                                 std::strerror(errno)));
    }
    if (count == 0) return HasChanged(bytes);
    done += static_cast<size_t>(count);
  }
  if (Crc32(text) != bytes.crc) return HasChanged(bytes);
  if (!is_records_) return ConversationFromJson(text);
  ConversationRecord record;
  if (!record.ParseFromString(text)) return HasChanged(bytes);
  return record;
}

}  // namespace cmerc
