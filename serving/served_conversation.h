// A conversation that goes on, over gRPC.
#ifndef CMERC_SERVING_SERVED_CONVERSATION_H_
#define CMERC_SERVING_SERVED_CONVERSATION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "calibration/ongoing_conversation.h"
#include "core/view.h"
#include "serving/counters.h"
#include "serving/loaded_model.h"
#include "serving/service.h"
#include "serving/work_queue.h"

namespace cmerc::serving {

// A conversation that goes on keeps to one copy of the model, the one that it began with.
class ServedConversation final : public OpenConversation {
 public:
  using SubmitJob = std::function<absl::Status(const std::shared_ptr<Job>&, Deadline)>;

  ServedConversation(std::shared_ptr<LoadedModel> model, size_t copy, bool explain,
                     int64_t max_utterances, Counters* counters, SubmitJob submit)
      : state_(std::make_shared<State>(std::move(model), copy, explain)),
        max_utterances_(max_utterances),
        counters_(counters),
        submit_(std::move(submit)) {}

  absl::StatusOr<ConverseResponse> Push(const ConverseRequest& request, Deadline deadline) override;

 private:
  struct State {
    State(std::shared_ptr<LoadedModel> loaded, size_t which, bool explain)
        : model(std::move(loaded)),
          copy(which),
          conversation(explain ? model->views : std::vector<View>()) {}
    const std::shared_ptr<LoadedModel> model;
    const size_t copy;
    OngoingConversation conversation;
  };

  const std::shared_ptr<State> state_;
  const int64_t max_utterances_;
  Counters* const counters_;
  const SubmitJob submit_;
};

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_SERVED_CONVERSATION_H_
