// Conversations that go on at the same time, answered utterance by utterance. No input or output:
// `cmerc predict --stream` is one way to feed it.
#ifndef CMERC_CALIBRATION_STREAM_H_
#define CMERC_CALIBRATION_STREAM_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "calibration/ongoing_conversation.h"
#include "calibration/prediction.pb.h"
#include "calibration/predictor.h"
#include "core/dataset.h"
#include "core/view.h"

namespace cmerc {

// What bounds the memory of a stream.
struct StreamLimits {
  int64_t max_open = 256;          // conversations at the same time
  int64_t max_utterances = 1000;   // of one conversation
  std::chrono::seconds idle{600};  // a conversation that rests as long is dropped
};

class ConversationStream {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  struct Answer {
    PredictedUtterance utterance;
    int64_t number = 0;  // of the utterance in its conversation, from 0
    // The conversation had been dropped because it was idle, and starts anew with this utterance.
    bool restarted = false;
  };

  // Answers have an entry for each of `views`. `clock` says how late it is.
  ConversationStream(Predictor predictor, std::vector<View> views, const StreamLimits& limits,
                     Clock clock = std::chrono::steady_clock::now);

  // Predicts the next utterance of the conversation `id`, with those before it
  // (OngoingConversation::Push()); a conversation begins with its first utterance. Drops
  // conversations that have been idle first. FailedPrecondition: a limit is reached, which the
  // message names as the field of StreamLimits. Other errors are those of
  // OngoingConversation::Push(). After an error all conversations are as they were.
  absl::StatusOr<Answer> Push(const std::string& id, Conversation utterance,
                              const std::string& speaker);

  // Ends a conversation and forgets it. False: none is open under this id.
  bool Close(const std::string& id);

  const Predictor& predictor() const { return predictor_; }
  const StreamLimits& limits() const { return limits_; }
  int64_t open() const { return static_cast<int64_t>(conversations_.size()); }
  int64_t dropped() const { return dropped_; }  // because they were idle, so far
  // Whether an utterance is predicted from what is remembered, and not all utterances again.
  bool continues() const;
  // How many bytes an utterance takes at most, without what the backbone remembers of it.
  int64_t BytesPerUtterance() const;

 private:
  struct Open {
    OngoingConversation conversation;
    std::chrono::steady_clock::time_point last;
    std::list<std::string>::iterator place;  // in by_age_
  };

  void DropIdle(std::chrono::steady_clock::time_point now);
  // Makes it the one that was used last.
  void Touch(std::chrono::steady_clock::time_point now, Open& open);

  Predictor predictor_;
  const std::vector<View> views_;
  const StreamLimits limits_;
  const Clock clock_;
  std::map<std::string, Open> conversations_;
  std::list<std::string> by_age_;  // their ids, the one that has rested longest first
  // The last conversations that were dropped and have not come back.
  std::set<std::string> dropped_ids_;
  std::deque<std::string> dropped_in_order_;
  int64_t dropped_ = 0;
};

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_STREAM_H_
