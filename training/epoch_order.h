// The order in which an epoch trains on its conversations.
#ifndef CMERC_TRAINING_EPOCH_ORDER_H_
#define CMERC_TRAINING_EPOCH_ORDER_H_

#include <ATen/core/Generator.h>

#include <cstdint>
#include <vector>

#include "config/run.pb.h"

namespace cmerc {

// Puts the conversations of an epoch in the order they are trained on, with LibTorch's default
// generator, which training.reseed_every_pass seeds first.
void OrderEpoch(const TrainingConfig& training, std::vector<int64_t>& conversations);

// Whether every epoch orders the same conversations alike.
bool OrdersAlike(const TrainingConfig& training);

// The same order from another generator, with the default one left alone: that of an epoch which
// begins when the default generator is as `generator` is now. Where OrdersAlike(), any will do.
void OrderEpochWith(at::Generator generator, const TrainingConfig& training,
                    std::vector<int64_t>& conversations);

}  // namespace cmerc

#endif  // CMERC_TRAINING_EPOCH_ORDER_H_
