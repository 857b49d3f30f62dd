#include "training/epoch_order.h"

#include <torch/types.h>
#include <torch/utils.h>

#include <cstddef>
#include <utility>

namespace cmerc {
namespace {

// `generator`: nullopt for the default one, which is seeded already.
void Order(const c10::optional<at::Generator>& generator, const TrainingConfig& training,
           std::vector<int64_t>& conversations) {
  if (training.reseed_every_pass()) {
    // PyTorch's DataLoader draws a seed for its workers before anything else; with this draw the
    // orders and dropout masks that follow are the official ones.
    torch::empty({}, torch::kInt64).random_(generator);
  }
  if (!training.shuffle()) return;
  const torch::Tensor permutation =
      torch::randperm(static_cast<int64_t>(conversations.size()), generator, torch::kInt64);
  const std::vector<int64_t> unshuffled = conversations;
  for (size_t i = 0; i < conversations.size(); ++i) {
    conversations[i] = unshuffled[permutation[static_cast<int64_t>(i)].item<int64_t>()];
  }
}

}  // namespace

void OrderEpoch(const TrainingConfig& training, std::vector<int64_t>& conversations) {
  if (training.reseed_every_pass()) torch::manual_seed(training.seed());
  Order(c10::nullopt, training, conversations);
}

bool OrdersAlike(const TrainingConfig& training) {
  return !training.shuffle() || training.reseed_every_pass();
}

void OrderEpochWith(at::Generator generator, const TrainingConfig& training,
                    std::vector<int64_t>& conversations) {
  if (training.reseed_every_pass()) generator.set_current_seed(training.seed());
  Order(std::move(generator), training, conversations);
}

}  // namespace cmerc
