// Reads conversations of a file one by one, in any order.
#ifndef CMERC_DATASETS_FORMATS_CONVERSATIONS_AT_H_
#define CMERC_DATASETS_FORMATS_CONVERSATIONS_AT_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "datasets/formats/conversation.pb.h"
#include "datasets/formats/conversation_file.h"

namespace cmerc {

class ConversationsAt {
 public:
  // Opens the file that `file` reads, which HasBytes(). Unavailable, with the path: it cannot be
  // opened any more.
  static absl::StatusOr<std::unique_ptr<ConversationsAt>> Open(const std::string& path,
                                                               const ConversationFile& file);
  ~ConversationsAt();
  ConversationsAt(const ConversationsAt&) = delete;
  ConversationsAt& operator=(const ConversationsAt&) = delete;

  // Returns the conversation that ConversationFile::Next() returned of these bytes. May be called
  // by several threads at the same time. FailedPrecondition: the file has other bytes there by now.
  // Unavailable: it cannot be read. Messages begin with the path.
  absl::StatusOr<ConversationRecord> Read(const BytesOfConversation& bytes) const;

 private:
  ConversationsAt(std::string path, bool is_records)
      : path_(std::move(path)), is_records_(is_records) {}

  absl::Status HasChanged(const BytesOfConversation& bytes) const;

  const std::string path_;
  const bool is_records_;  // or JSON Lines
  int file_ = -1;
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_CONVERSATIONS_AT_H_
