// A file of conversations: a record file or JSON Lines, told apart by how it begins.
#ifndef CMERC_DATASETS_FORMATS_CONVERSATION_FILE_H_
#define CMERC_DATASETS_FORMATS_CONVERSATION_FILE_H_

#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "datasets/formats/conversation.pb.h"
#include "datasets/formats/json_lines.h"
#include "datasets/formats/record_file.h"

namespace cmerc {

class ConversationFile {
 public:
  // Opens a file; the message of an error begins with `path`. NotFound: there is no such file.
  // InvalidArgument: it cannot be opened; it is a folder, a pipe or a device, empty, of neither
  // format, or its header is damaged.
  static absl::StatusOr<std::unique_ptr<ConversationFile>> Open(const std::string& path);

  // The schema of a record file; nullptr with JSON Lines.
  const DatasetSchema* schema() const {
    return records_ == nullptr ? nullptr : &records_->schema();
  }

  // Returns the next conversation; see Next() of JsonLinesReader or RecordFileReader.
  absl::StatusOr<std::optional<ConversationRecord>> Next();

  // Says where that was which Next() has just returned: "line 12" or "record 12".
  std::string Place() const;

 private:
  ConversationFile() = default;

  std::ifstream in_;
  std::unique_ptr<JsonLinesReader> lines_;     // this or ...
  std::unique_ptr<RecordFileReader> records_;  // ... this
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_CONVERSATION_FILE_H_
