#include "datasets/formats/conversation_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bytes/crc32.h"
#include "bytes/file_kind.h"
#include "core/status.h"

namespace cmerc {
namespace {

constexpr size_t kHeadSize = 4096;

// What to do with a JSON list, of which `head` is the beginning.
std::string ListAdvice(absl::string_view head, const std::string& path) {
  if (absl::StrContains(head, "\"utterances\"")) {
    return absl::StrCat(
        "is one JSON list, want a conversation a line; in Python: import json; "
        "open(\"converted.jsonl\", \"w\").writelines(json.dumps(c) + \"\\n\" for c in "
        "json.load(open(\"",
        absl::CHexEscape(path), "\")))");
  }
  return "is one JSON list of something else than conversations, want a conversation a line: "
         "{\"id\": "
         "..., \"split\": \"train\", \"utterances\": [{\"speaker\": ..., \"label\": ..., "
         "\"features\": {\"text\": [...]}}, ...]}; docs/your_own_data.md shows the form and writes "
         "such a file";
}

}  // namespace

absl::Status CheckStreamsAsJsonLines(absl::string_view head) {
  const FileKind kind = FileKindOf(head);
  std::string what_to_do;
  switch (kind) {
    case FileKind::kUnknown:
    case FileKind::kEmpty:
    case FileKind::kJson:
    case FileKind::kCsv:  // or a first line that is no JSON
      return absl::OkStatus();
    case FileKind::kGzip:
    case FileKind::kZlib:
      what_to_do = "unpack it before it comes here (zcat), or name the file";
      break;
    case FileKind::kRecords:
    case FileKind::kNpz:
      what_to_do = "name the file, which is read, in place of -";
      break;
    case FileKind::kJsonList:
      what_to_do = "write a conversation a line";
      break;
    default:
      what_to_do = "docs/your_own_data.md shows the form";
  }
  return absl::InvalidArgumentError(
      absl::StrCat("is ", FileKindName(kind), ", want JSON Lines; ", what_to_do));
}

absl::Status ConversationFile::Error(absl::string_view problem) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ": ", problem));
}

absl::Status ConversationFile::OpenStream() {
  struct stat info {};
  errno = 0;
  if (stat(path_.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return Error("is a folder, want a file");
    // A named pipe might never begin, a device never end.
    if (!S_ISREG(info.st_mode)) {
      return Error("is a pipe or a device, want a file; write what comes out of it to one");
    }
    in_.open(path_, std::ios::binary);
  }
  if (in_.is_open()) return absl::OkStatus();
  return absl::Status(
      errno == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kInvalidArgument,
      absl::StrCat(path_, ": cannot be opened: ", std::strerror(errno)));
}

absl::StatusOr<std::unique_ptr<ConversationFile>> ConversationFile::Open(const std::string& path,
                                                                         UnknownKeys unknown_keys) {
  std::unique_ptr<ConversationFile> file(new ConversationFile(path, unknown_keys));
  RETURN_IF_ERROR(file->OpenStream());
  file->in_.seekg(0, std::ios::end);
  file->size_ = static_cast<uint64_t>(file->in_.tellg());
  file->in_.seekg(0);
  std::string head(kHeadSize, '\0');
  file->in_.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(file->in_.gcount()));
  file->in_.clear();
  file->in_.seekg(0);
  if (!IsGzip(head) && !IsZlib(head)) {
    RETURN_IF_ERROR(file->OpenReader(head, file->in_));
    return file;
  }
  file->inflating_ = std::make_unique<InflatingBuffer>(file->in_, file->size_);
  file->inflated_ = std::make_unique<std::istream>(file->inflating_.get());
  const std::string inflated_head(file->inflating_->Peek().substr(0, kHeadSize));
  RETURN_IF_ERROR(Annotate(file->inflating_->status(), path));
  RETURN_IF_ERROR(file->OpenReader(inflated_head, *file->inflated_));
  return file;
}

absl::Status ConversationFile::OpenReader(absl::string_view head, std::istream& in) {
  if (head.empty()) return Error("is empty");
  const FileKind kind = FileKindOf(head);
  if (kind == FileKind::kNpz && inflating_ == nullptr) {
    ASSIGN_OR_RETURN(npz_, NpzConversations::Open(path_));
    return absl::OkStatus();
  }
  if (kind == FileKind::kJsonList) return Error(ListAdvice(head, path_));
  const std::string wrong = WrongFileKind(head, FileUse::kConversations, path_);
  if (!wrong.empty()) {
    return Error(
        absl::StrCat(inflating_ != nullptr ? "is compressed, and what it holds " : "", wrong));
  }
  if (head[0] == kRecordFileFirstByte) {
    ASSIGN_OR_RETURN(records_, RecordFileReader::Open(in, path_));
    return absl::OkStatus();
  }
  // Blanks, or the first byte of a byte order mark, may come before the first object.
  if (!absl::StrContains("{ \t\r\n\xEF", head[0])) {
    return Error(absl::StrCat("begins with \"", absl::CHexEscape(head.substr(0, 1)),
                              "\", which is neither a record file nor JSON Lines"));
  }
  lines_ = std::make_unique<JsonLinesReader>(in, path_, unknown_keys_);
  return absl::OkStatus();
}

const DatasetSchema* ConversationFile::schema() const {
  if (records_ != nullptr) return &records_->schema();
  return npz_ != nullptr ? &npz_->schema() : nullptr;
}

absl::StatusOr<std::optional<ConversationRecord>> ConversationFile::Next() {
  if (npz_ != nullptr) return npz_->Next();
  if (ended_) return std::nullopt;
  auto record = records_ != nullptr ? records_->Next() : lines_->Next();
  if (inflating_ == nullptr || inflating_->status().ok()) return record;
  // What is damaged ends in the middle of a line or record, which would be the wrong message.
  ended_ = true;
  return Annotate(inflating_->status(), path_);
}

absl::StatusOr<bool> ConversationFile::Skip() {
  if (npz_ != nullptr) {
    ASSIGN_OR_RETURN(const std::optional<ConversationRecord> record, npz_->Next());
    return record.has_value();
  }
  if (ended_) return false;
  const absl::StatusOr<bool> found = records_ != nullptr ? records_->Skip() : lines_->Skip();
  if (inflating_ == nullptr || inflating_->status().ok()) return found;
  ended_ = true;
  return Annotate(inflating_->status(), path_);
}

BytesOfConversation ConversationFile::Bytes() const {
  const absl::string_view bytes = records_ != nullptr ? records_->message() : lines_->text();
  return {records_ != nullptr ? records_->begin() : lines_->begin(),
          static_cast<int64_t>(bytes.size()), Crc32(bytes)};
}

double ConversationFile::ShareRead() {
  if (npz_ != nullptr) return npz_->ShareRead();
  const std::streamoff position = in_.tellg();  // -1 behind the end
  return position < 0 || size_ == 0 ? 1
                                    : static_cast<double>(position) / static_cast<double>(size_);
}

std::string ConversationFile::Place() const {
  if (records_ != nullptr) return absl::StrCat("record ", records_->record());
  return npz_ != nullptr ? absl::StrCat("conversation ", npz_->conversation())
                         : absl::StrCat("line ", lines_->line());
}

}  // namespace cmerc
