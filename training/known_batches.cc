#include "training/known_batches.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "core/batch_limit.h"
#include "core/status.h"
#include "training/epoch_order.h"

namespace cmerc {
namespace {

std::vector<int64_t> Lengths(const PreparedData& data, absl::Span<const int64_t> conversations) {
  std::vector<int64_t> lengths;
  for (const int64_t index : conversations) lengths.push_back(data.conversations[index].length());
  return lengths;
}

// InvalidArgument: a batch of `conversations`, which are taken in this order, is too large. `name`
// says of what batch `step` is one.
absl::Status CheckBatches(const BatchLimit& limit, const RunConfig& config,
                          const PreparedData& data, absl::Span<const int64_t> conversations,
                          const std::string& name) {
  const auto size = static_cast<size_t>(config.training().batch_size());
  for (size_t begin = 0; begin < conversations.size(); begin += size) {
    const absl::Span<const int64_t> batch = conversations.subspan(begin, size);
    const std::string why = limit.WhyTooLarge(Lengths(data, batch));
    if (why.empty()) continue;
    return absl::InvalidArgumentError(absl::StrCat(name, begin / size + 1, ", conversations ",
                                                   data.Ids(batch), ": ", why,
                                                   "; nothing was trained"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckKnownBatches(const Backbone& backbone, const at::Generator& begun,
                               const RunConfig& config, const PreparedData& data,
                               const Curriculum& curriculum) {
  const auto* const limit = dynamic_cast<const BatchLimit*>(&backbone);
  if (limit == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(CheckBatches(*limit, config, data, data.train, "train split, batch "));
  RETURN_IF_ERROR(CheckBatches(*limit, config, data, data.valid, "validation split, batch "));
  RETURN_IF_ERROR(CheckBatches(*limit, config, data, data.test, "test split, batch "));
  const int epochs = OrdersAlike(config.training()) ? config.training().epochs() : 1;
  std::vector<int64_t> before;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    std::vector<int64_t> conversations = curriculum.Conversations(epoch);
    if (conversations == before) continue;
    before = conversations;
    OrderEpochWith(begun.clone(), config.training(), conversations);
    RETURN_IF_ERROR(CheckBatches(*limit, config, data, conversations,
                                 absl::StrCat("epoch ", epoch + 1, ", step ")));
  }
  return absl::OkStatus();
}

std::string BatchWarning(const Backbone& backbone, const RunConfig& config,
                         const PreparedData& data) {
  const auto* const limit = dynamic_cast<const BatchLimit*>(&backbone);
  if (limit == nullptr || OrdersAlike(config.training())) return "";
  std::vector<int64_t> lengths = Lengths(data, data.train);
  std::sort(lengths.begin(), lengths.end(), std::greater<int64_t>());
  lengths.resize(std::min(lengths.size(), static_cast<size_t>(config.training().batch_size())));
  const std::string why = limit->WhyTooLarge(lengths);
  if (why.empty()) return "";
  return absl::StrCat(
      "the order of conversations is known of the first epoch alone, and a batch of "
      "the ",
      lengths.size(), " longest would end the run: ", why);
}

}  // namespace cmerc
