// What requests have workers do.
#ifndef CMERC_SERVING_JOBS_H_
#define CMERC_SERVING_JOBS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "calibration/prediction.pb.h"
#include "core/dataset.h"
#include "datasets/formats/conversation.pb.h"
#include "serving/counters.h"
#include "serving/loaded_model.h"
#include "serving/work_queue.h"

namespace cmerc::serving {

// Conversations of one request, to be predicted as wholes.
class PredictJob final : public Job {
 public:
  PredictJob(std::shared_ptr<LoadedModel> model, std::vector<ConversationRecord> records,
             bool explain, Deadline deadline)
      : model_(std::move(model)),
        records_(std::move(records)),
        explain_(explain),
        deadline_(deadline) {}

  const void* group() const override { return model_.get(); }
  size_t weight() const override { return records_.size(); }

  const std::shared_ptr<LoadedModel>& model() const { return model_; }
  const std::vector<ConversationRecord>& records() const { return records_; }
  bool explain() const { return explain_; }
  Deadline deadline() const { return deadline_; }
  std::vector<Conversation>& conversations() { return conversations_; }
  std::vector<PredictedConversation>& predictions() { return predictions_; }

  // The answers as `cmerc predict` writes them; sets the names in predictions(), too.
  std::vector<std::string> Lines();

 private:
  const std::shared_ptr<LoadedModel> model_;
  const std::vector<ConversationRecord> records_;
  const bool explain_;
  const Deadline deadline_;
  std::vector<Conversation> conversations_;
  std::vector<PredictedConversation> predictions_;
};

// Anything else that a worker does for a request.
class CallJob final : public Job {
 public:
  explicit CallJob(std::function<absl::Status()> call) : call_(std::move(call)) {}
  void Call() { Finish(call_()); }

 private:
  const std::function<absl::Status()> call_;
};

// Does jobs that are PredictJobs of one model, or one CallJob, as the worker of this number. With
// `max_batch` above 1 conversations that are asked the same of go through the model together; else
// one by one, as `cmerc predict` does those of a stream: an answer does not depend, not by a bit,
// on what else there is to do. Exceptions are those of memory that cannot be had.
void RunJobs(int worker, size_t max_batch, absl::Span<const std::shared_ptr<Job>> jobs,
             Counters& counters);

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_JOBS_H_
