// Features that are read when their batch comes, the next batch's ahead of it.
#ifndef CMERC_CALIBRATION_LATE_FEATURES_H_
#define CMERC_CALIBRATION_LATE_FEATURES_H_

#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/late_conversations.h"
#include "torch/types.h"

namespace cmerc {

// Conversation::features with only the modalities at these positions, in this order.
std::vector<std::vector<torch::Tensor>> ChosenFeatures(
    const std::vector<std::vector<torch::Tensor>>& features, const std::vector<size_t>& modalities);

class LateFeatures {
 public:
  using Features = std::vector<std::vector<torch::Tensor>>;  // Conversation::features

  // Of the conversations of `source`, with the modalities at these positions.
  LateFeatures(std::shared_ptr<const LateConversations> source, std::vector<size_t> modalities)
      : source_(std::move(source)), modalities_(std::move(modalities)) {}

  // The features of a conversation as the data set has them. Errors are those of
  // LateConversations::Read().
  absl::StatusOr<Features> Read(int64_t index);

  // Begins to read the features of these conversations on a thread of its own, and keeps them until
  // it is called again. What was read ahead before is forgotten.
  void ReadAhead(absl::Span<const int64_t> indices);

  // A number that changes when any feature does, or which modalities these are.
  uint64_t Digest() const;

 private:
  using AllRead = std::vector<absl::StatusOr<Features>>;

  const std::shared_ptr<const LateConversations> source_;
  const std::vector<size_t> modalities_;
  std::mutex mutex_;
  std::vector<int64_t> ahead_;              // the conversations that are read ahead
  std::shared_future<AllRead> read_ahead_;  // parallel to ahead_; not valid: none are
};

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_LATE_FEATURES_H_
