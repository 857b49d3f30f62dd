#include "bin/conversation_input.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bin/predict_options.h"
#include "calibration/extractors.h"
#include "core/status.h"
#include "datasets/assembly/conversation_tensors.h"
#include "datasets/formats/conversation.h"

namespace cmerc {

absl::StatusOr<ConversationInput> ConversationInput::Open(const std::string& path,
                                                          UnknownKeys unknown_keys) {
  ConversationInput input;
  if (path == "-") {
    input.name_ = "standard input";
    struct stat info {};
    input.is_stream_ = fstat(STDIN_FILENO, &info) != 0 || !S_ISREG(info.st_mode);
    input.standard_input_ = std::make_unique<PolledInput>(STDIN_FILENO);
    input.stream_ = std::make_unique<std::istream>(input.standard_input_.get());
    input.lines_ = std::make_unique<JsonLinesReader>(*input.stream_, input.name_, unknown_keys);
    return input;
  }
  absl::StatusOr<std::unique_ptr<ConversationFile>> file =
      ConversationFile::Open(path, unknown_keys);
  if (!file.ok()) {
    return absl::Status(file.status().code(), absl::StrCat("--input=", file.status().message()));
  }
  input.name_ = path;
  input.file_ = *std::move(file);
  return input;
}

absl::Status ConversationInput::CheckBeginning() {
  if (has_begun_) return absl::OkStatus();
  has_begun_ = true;
  const absl::Status status = CheckStreamsAsJsonLines(standard_input_->Head());
  can_go_on_ = status.ok();
  return Annotate(status, name_);
}

absl::StatusOr<std::optional<ConversationRecord>> ConversationInput::NextRecord() {
  if (file_ != nullptr) {
    absl::StatusOr<std::optional<ConversationRecord>> record = file_->Next();
    can_go_on_ = record.ok() || file_->schema() == nullptr;
    return record;
  }
  RETURN_IF_ERROR(CheckBeginning());
  absl::StatusOr<std::optional<ConversationRecord>> record = lines_->Next();
  const int error = standard_input_->error();
  if (error == 0) return record;
  // The last line may have been cut short.
  return absl::UnavailableError(absl::StrCat(name_, ": cannot be read after line ", lines_->line(),
                                             ": ", std::strerror(error)));
}

absl::StatusOr<std::optional<InputConversation>> ConversationInput::Next(
    const Predictor& predictor) {
  ASSIGN_OR_RETURN(std::optional<ConversationRecord> record, NextRecord());
  if (!record.has_value()) return std::nullopt;
  absl::StatusOr<Conversation> conversation = ToConversation(*record, predictor.info());
  const std::string place = Place(*record);
  RETURN_IF_ERROR(Annotate(CheckExtractors(predictor.extractors(), ExtractorsOf(*record)), place));
  const absl::Status fits =
      conversation.ok() ? predictor.Check(*conversation) : conversation.status();
  RETURN_IF_ERROR(Annotate(fits, place));
  const std::string unsaid = WithoutExtractor(*record, predictor.extractors());
  if (!unsaid.empty() && !has_warned_) warning_ = absl::StrCat(place, " ", unsaid);
  has_warned_ = has_warned_ || !unsaid.empty();
  record->clear_modalities();
  return InputConversation{*std::move(conversation), *std::move(record)};
}

std::optional<double> ConversationInput::ShareRead() {
  if (file_ == nullptr) return std::nullopt;
  return file_->ShareRead();
}

std::string ConversationInput::Place(const ConversationRecord& record) const {
  const std::string place =
      file_ != nullptr ? file_->Place() : absl::StrCat("line ", lines_->line());
  return absl::StrCat(name_, ", ", place, ": conversation ", record.id());
}

}  // namespace cmerc
