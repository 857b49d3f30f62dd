// The work of `cmerc predict` on whole conversations, batch by batch.
#ifndef CMERC_BIN_PREDICT_WORK_H_
#define CMERC_BIN_PREDICT_WORK_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "bin/missing_count.h"
#include "bin/predict_output.h"
#include "calibration/predictor.h"
#include "core/dataset.h"
#include "core/view.h"
#include "datasets/formats/conversation.pb.h"

namespace cmerc {

// Gathers conversations into batches, predicts them and writes what comes out, in order.
class Work {
 public:
  // `batch_size` conversations are predicted together.
  Work(Predictor predictor, int64_t batch_size, std::vector<View> views, PredictOutput output)
      : predictor_(std::move(predictor)),
        batch_size_(static_cast<size_t>(batch_size)),
        views_(std::move(views)),
        output_(std::move(output)),
        missing_(predictor_.info()),
        start_(std::chrono::steady_clock::now()) {}

  const Predictor& predictor() const { return predictor_; }
  // How many conversations have been predicted, without those that were written before.
  int64_t conversations() const { return conversations_; }
  // All that have been predicted, and all that have been added.
  int64_t done() const { return done_; }
  int64_t added() const { return done_ + static_cast<int64_t>(waiting_.size()); }

  // Adds what is said, as a warning, once there is an answer.
  void WarnWithAnswers(std::string warning) { warnings_.push_back(std::move(warning)); }

  // Adds a conversation that Predictor::Check() has approved of, and predicts the batch that is
  // complete with it. Its names are those of `record`, or of the data set where there is none.
  absl::Status Add(Conversation conversation, std::optional<ConversationRecord> record);

  // Predicts the conversations that wait for their batch to be complete.
  absl::Status PredictWaiting();

  // Predicts the last ones and makes the output complete.
  absl::Status Finish();

  // Ends early: what has been predicted is not lost, and where that is nothing a file stays as it
  // was.
  absl::Status Stop(const absl::Status& problem);

  // "12 conversations, 345 utterances, 678 utterances a second, 9 without audio"
  std::string Summary() const;

 private:
  // Says once that a batch may not fit into the memory.
  void WarnOfLength();

  Predictor predictor_;
  const size_t batch_size_;
  const std::vector<View> views_;
  PredictOutput output_;
  MissingCount missing_;
  const std::chrono::steady_clock::time_point start_;
  std::vector<std::string> warnings_;  // not said yet
  std::vector<Conversation> waiting_;
  std::vector<std::optional<ConversationRecord>> records_;  // parallel to waiting_
  int64_t done_ = 0;                                        // predicted
  int64_t conversations_ = 0;                               // of these, written
  int64_t utterances_ = 0;
  bool warned_ = false;
};

}  // namespace cmerc

#endif  // CMERC_BIN_PREDICT_WORK_H_
