#include "calibration/stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status.h"

namespace cmerc {
namespace {

// How many conversations that were dropped are known again when they come back.
constexpr size_t kRemembered = 10000;

}  // namespace

ConversationStream::ConversationStream(Predictor predictor, std::vector<View> views,
                                       const StreamLimits& limits, Clock clock)
    : predictor_(std::move(predictor)),
      views_(std::move(views)),
      limits_(limits),
      clock_(std::move(clock)) {}

absl::StatusOr<ConversationStream::Answer> ConversationStream::Push(const std::string& id,
                                                                    Conversation utterance,
                                                                    const std::string& speaker) {
  const auto now = clock_();
  DropIdle(now);
  Answer answer;
  const auto found = conversations_.find(id);
  if (found != conversations_.end()) {
    Open& open = found->second;
    Touch(now, open);
    answer.number = open.conversation.length();
    if (answer.number >= limits_.max_utterances) {
      return absl::FailedPreconditionError(absl::StrCat(
          "conversation ", id, " has ", answer.number,
          " utterances, and one may have no more (max_utterances = ", limits_.max_utterances,
          "); end it"));
    }
    ASSIGN_OR_RETURN(answer.utterance,
                     open.conversation.Push(predictor_, std::move(utterance), speaker));
    return answer;
  }
  if (open() >= limits_.max_open) {
    return absl::FailedPreconditionError(
        absl::StrCat("conversation ", id, " cannot begin: ", open(),
                     " are open, and there may be no more (max_open = ", limits_.max_open,
                     "); end those that are over"));
  }
  OngoingConversation conversation(views_);
  ASSIGN_OR_RETURN(answer.utterance, conversation.Push(predictor_, std::move(utterance), speaker));
  answer.restarted = dropped_ids_.erase(id) > 0;
  const auto place = by_age_.insert(by_age_.end(), id);
  conversations_.emplace(id, Open{std::move(conversation), now, place});
  return answer;
}

bool ConversationStream::Close(const std::string& id) {
  const auto found = conversations_.find(id);
  if (found == conversations_.end()) return false;
  by_age_.erase(found->second.place);
  conversations_.erase(found);
  return true;
}

bool ConversationStream::continues() const {
  return predictor_.info().context == ContextScope::kPast &&
         predictor_.backbone().NewMemory() != nullptr;
}

int64_t ConversationStream::BytesPerUtterance() const {
  int64_t numbers = 0;
  for (const ModalityInfo& modality : predictor_.info().modalities) {
    numbers += modality.width * modality.num_streams;
  }
  return numbers * static_cast<int64_t>(sizeof(float));
}

void ConversationStream::DropIdle(std::chrono::steady_clock::time_point now) {
  while (!by_age_.empty()) {
    const std::string id = by_age_.front();
    if (now - conversations_.at(id).last < limits_.idle) return;
    Close(id);
    ++dropped_;
    if (dropped_ids_.insert(id).second) dropped_in_order_.push_back(id);
    if (dropped_in_order_.size() > kRemembered) {
      dropped_ids_.erase(dropped_in_order_.front());
      dropped_in_order_.pop_front();
    }
  }
}

void ConversationStream::Touch(std::chrono::steady_clock::time_point now, Open& open) {
  open.last = now;
  by_age_.splice(by_age_.end(), by_age_, open.place);
}

}  // namespace cmerc
