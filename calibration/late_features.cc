#include "calibration/late_features.h"

#include <algorithm>
#include <system_error>

#include "core/status.h"

namespace cmerc {
namespace {

constexpr uint64_t kDigestFactor = 1099511628211u;  // of FNV-1a

absl::StatusOr<LateFeatures::Features> ReadFrom(const LateConversations& source, int64_t index,
                                                const std::vector<size_t>& modalities) {
  ASSIGN_OR_RETURN(const Conversation conversation, source.Read(index));
  return ChosenFeatures(conversation.features, modalities);
}

}  // namespace

std::vector<std::vector<torch::Tensor>> ChosenFeatures(
    const std::vector<std::vector<torch::Tensor>>& features,
    const std::vector<size_t>& modalities) {
  std::vector<std::vector<torch::Tensor>> chosen;
  for (const size_t m : modalities) chosen.push_back(features[m]);
  return chosen;
}

absl::StatusOr<LateFeatures::Features> LateFeatures::Read(int64_t index) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = std::find(ahead_.begin(), ahead_.end(), index);
    if (found != ahead_.end() && read_ahead_.valid()) {
      return read_ahead_.get()[static_cast<size_t>(found - ahead_.begin())];
    }
  }
  return ReadFrom(*source_, index, modalities_);
}

void LateFeatures::ReadAhead(absl::Span<const int64_t> indices) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (ahead_ == std::vector<int64_t>(indices.begin(), indices.end())) return;
  ahead_.assign(indices.begin(), indices.end());
  read_ahead_ = {};  // waits until what nobody wants any more has been read
  if (ahead_.empty()) return;
  const auto read = [source = source_, modalities = modalities_, wanted = ahead_] {
    AllRead all;
    for (const int64_t index : wanted) all.push_back(ReadFrom(*source, index, modalities));
    return all;
  };
  try {
    read_ahead_ = std::async(std::launch::async, read).share();
  } catch (const std::system_error&) {
    // Where no thread can be had, they are read when they are wanted.
  }
}

uint64_t LateFeatures::Digest() const {
  uint64_t digest = source_->Digest();
  for (const size_t m : modalities_) digest = (digest ^ m) * kDigestFactor;
  return digest;
}

}  // namespace cmerc
