// A file of conversations: a record file, JSON Lines or an .npz, told apart by how it begins.
#ifndef CMERC_DATASETS_FORMATS_CONVERSATION_FILE_H_
#define CMERC_DATASETS_FORMATS_CONVERSATION_FILE_H_

#include <cstdint>
#include <fstream>
#include <istream>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bytes/inflate.h"
#include "datasets/formats/conversation.pb.h"
#include "datasets/formats/json_lines.h"
#include "datasets/formats/npz_conversations.h"
#include "datasets/formats/record_file.h"

namespace cmerc {

// Whether a stream may be JSON Lines, the only format that can be read as it comes; `head` are its
// first bytes. InvalidArgument, without a name: it is something else, and what to do.
absl::Status CheckStreamsAsJsonLines(absl::string_view head);

// Where a conversation is in a file that is not compressed: a line of JSON without its end, or the
// message of a record.
struct BytesOfConversation {
  int64_t begin = 0;
  int64_t size = 0;
  uint32_t crc = 0;  // CRC-32 of them
};

class ConversationFile {
 public:
  // Opens a file; JSON Lines and a record file may be compressed by gzip or zlib. The message of an
  // error begins with `path`. NotFound: there is no such file. InvalidArgument: it cannot be
  // opened; it is a folder, a pipe or a device, empty, of no such format (the message says of
  // which), or its header is damaged. `unknown_keys` is about JSON Lines.
  static absl::StatusOr<std::unique_ptr<ConversationFile>> Open(
      const std::string& path, UnknownKeys unknown_keys = UnknownKeys::kRefuse);

  // The schema of a record file or an .npz; nullptr with JSON Lines.
  const DatasetSchema* schema() const;

  // Returns the next conversation; see Next() of JsonLinesReader, RecordFileReader and
  // NpzConversations. InvalidArgument, too: what is compressed is damaged, or more than
  // MostInflated() allows; the next call gives the end.
  absl::StatusOr<std::optional<ConversationRecord>> Next();

  // Goes over the next conversation without looking into it where the format allows that; false at
  // the end. Errors are those of Next(), but for conversations that are wrong.
  absl::StatusOr<bool> Skip();

  // Says where that was which Next() has just returned: "line 12", "record 12" or "conversation
  // 12".
  std::string Place() const;

  // The bytes of the file that Next() has just made a conversation of, for ConversationsAt.
  // Meaningless of a compressed file or an .npz, where conversations cannot be read one by one.
  BytesOfConversation Bytes() const;
  // Whether they can.
  bool HasBytes() const { return npz_ == nullptr && inflating_ == nullptr; }

  // What part of the file has been read, from 0 to 1.
  double ShareRead();

 private:
  ConversationFile(std::string path, UnknownKeys unknown_keys)
      : path_(std::move(path)), unknown_keys_(unknown_keys) {}

  // Opens in_. Errors are those of Open().
  absl::Status OpenStream();
  // Makes the reader of what `head`, the first bytes of `in`, shows. Errors are those of Open().
  absl::Status OpenReader(absl::string_view head, std::istream& in);
  absl::Status Error(absl::string_view problem) const;

  const std::string path_;
  const UnknownKeys unknown_keys_;
  std::ifstream in_;
  uint64_t size_ = 0;                           // of the file
  std::unique_ptr<InflatingBuffer> inflating_;  // of a compressed file
  std::unique_ptr<std::istream> inflated_;      // what that gives
  bool ended_ = false;                          // by an error of inflating_
  std::unique_ptr<JsonLinesReader> lines_;      // this or ...
  std::unique_ptr<RecordFileReader> records_;   // ... this or ...
  std::unique_ptr<NpzConversations> npz_;       // ... this
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_CONVERSATION_FILE_H_
