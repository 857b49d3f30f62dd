#include "datasets/formats/conversation_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/status.h"

namespace cmerc {

absl::StatusOr<std::unique_ptr<ConversationFile>> ConversationFile::Open(const std::string& path) {
  const auto error = [&](absl::string_view problem) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
  };
  struct stat info {};
  std::unique_ptr<ConversationFile> file(new ConversationFile);
  errno = 0;
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return error("is a folder, want a file");
    // A named pipe might never begin, a device never end.
    if (!S_ISREG(info.st_mode)) {
      return error("is a pipe or a device, want a file; write what comes out of it to one");
    }
    file->in_.open(path, std::ios::binary);
  }
  if (!file->in_.is_open()) {
    return absl::Status(
        errno == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kInvalidArgument,
        absl::StrCat(path, ": cannot be opened: ", std::strerror(errno)));
  }
  const int first = file->in_.peek();
  if (first == std::char_traits<char>::eof()) return error("is empty");
  const char c = static_cast<char>(first);
  if (c == kRecordFileFirstByte) {
    ASSIGN_OR_RETURN(file->records_, RecordFileReader::Open(file->in_, path));
    return file;
  }
  if (c == '[') {
    return error(
        "is one JSON list, want a conversation a line; in Python: for c in conversations: "
        "file.write(json.dumps(c) + \"\\n\")");
  }
  // Blanks, or the first byte of a byte order mark, may come before the first object.
  if (absl::string_view("{ \t\r\n\xEF").find(c) == absl::string_view::npos) {
    return error(absl::StrCat("begins with \"", absl::CHexEscape(std::string(1, c)),
                              "\", which is neither a record file nor JSON Lines"));
  }
  file->lines_ = std::make_unique<JsonLinesReader>(file->in_, path);
  return file;
}

absl::StatusOr<std::optional<ConversationRecord>> ConversationFile::Next() {
  return records_ != nullptr ? records_->Next() : lines_->Next();
}

std::string ConversationFile::Place() const {
  return records_ != nullptr ? absl::StrCat("record ", records_->record())
                             : absl::StrCat("line ", lines_->line());
}

}  // namespace cmerc
