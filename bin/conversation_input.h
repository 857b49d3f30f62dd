// The conversations that --input names, as the model of a checkpoint sees them.
#ifndef CMERC_BIN_CONVERSATION_INPUT_H_
#define CMERC_BIN_CONVERSATION_INPUT_H_

#include <istream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bin/polled_input.h"
#include "calibration/predictor.h"
#include "core/dataset.h"
#include "datasets/formats/conversation.pb.h"
#include "datasets/formats/conversation_file.h"
#include "datasets/formats/json_lines.h"

namespace cmerc {

struct InputConversation {
  Conversation conversation;  // as Predictor::Predict() takes it; without labels
  ConversationRecord record;  // as the file has it, but for its features
};

// The conversations of a file, or of standard input ("-"), one by one.
class ConversationInput {
 public:
  // InvalidArgument or NotFound, with "--input=" in front: the errors of ConversationFile::Open().
  static absl::StatusOr<ConversationInput> Open(const std::string& path, UnknownKeys unknown_keys);

  // The next conversation; nullopt at the end. InvalidArgument names the place of a conversation
  // that the model of `predictor` cannot take. Unavailable: standard input cannot be read on.
  absl::StatusOr<std::optional<InputConversation>> Next(const Predictor& predictor);

  // Goes over the next conversation of a file without looking into it where the format allows that;
  // false at the end. Errors are those of ConversationFile::Skip().
  absl::StatusOr<bool> Skip() { return file_->Skip(); }

  // What part of the input has been read, from 0 to 1; nullopt where that is not known.
  std::optional<double> ShareRead();

  // What to warn of that Next() has found in what it has just returned, said once: a conversation
  // does not say what made its features; "" for nothing.
  std::string TakeWarning() { return std::exchange(warning_, ""); }

  // Where that was which Next() has just returned: "new.jsonl, line 12: conversation d1".
  std::string Place(const ConversationRecord& record) const;

  // "new.jsonl", "standard input".
  const std::string& name() const { return name_; }
  // Whether it comes as it is made: standard input that is no file.
  bool is_stream() const { return is_stream_; }
  // Whether Next() need not wait for who writes the stream.
  bool NextIsThere() { return !is_stream_ || standard_input_->HasLine(); }
  // Whether more conversations may come after an error. None do from a record file that is damaged.
  bool can_go_on() const { return can_go_on_; }

 private:
  absl::StatusOr<std::optional<ConversationRecord>> NextRecord();
  // InvalidArgument: standard input is no JSON Lines, as its first bytes tell.
  absl::Status CheckBeginning();

  std::string name_;
  std::string warning_;
  bool has_warned_ = false;
  bool can_go_on_ = true;
  bool is_stream_ = false;
  bool has_begun_ = false;
  std::unique_ptr<ConversationFile> file_;  // this, or the others
  std::unique_ptr<PolledInput> standard_input_;
  std::unique_ptr<std::istream> stream_;
  std::unique_ptr<JsonLinesReader> lines_;
};

}  // namespace cmerc

#endif  // CMERC_BIN_CONVERSATION_INPUT_H_
