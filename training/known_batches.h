// Batches that are known before anything is trained: whether the model takes them.
#ifndef CMERC_TRAINING_KNOWN_BATCHES_H_
#define CMERC_TRAINING_KNOWN_BATCHES_H_

#include <ATen/core/Generator.h>

#include <string>

#include "absl/status/status.h"
#include "calibration/curriculum.h"
#include "calibration/prepared_data.h"
#include "config/run.pb.h"
#include "core/backbone.h"

namespace cmerc {

// Checks every batch that is evaluated and those that are trained on, as far as their conversations
// are known: all epochs where each orders them alike (training { shuffle: false } or
// reseed_every_pass), else the first one, which begins when LibTorch's default generator is as
// `begun`, just after the model was made. InvalidArgument: a batch is too large for `backbone`
// (core/batch_limit.h); the message has the batch, why, and what to do.
absl::Status CheckKnownBatches(const Backbone& backbone, const at::Generator& begun,
                               const RunConfig& config, const PreparedData& data,
                               const Curriculum& curriculum);

// What to warn of where the batches of later epochs are not known: that one of the longest
// conversations would be too large. "" where none can be.
std::string BatchWarning(const Backbone& backbone, const RunConfig& config,
                         const PreparedData& data);

}  // namespace cmerc

#endif  // CMERC_TRAINING_KNOWN_BATCHES_H_
