// Evidence that is removed at random: in training (training.drop_evidence), or from a split, to see
// what a model makes of the rest.
#ifndef CMERC_CALIBRATION_RANDOM_REMOVAL_H_
#define CMERC_CALIBRATION_RANDOM_REMOVAL_H_

#include <cstdint>
#include <random>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "calibration/missing.h"
#include "calibration/prepared_data.h"
#include "core/dataset.h"
#include "torch/types.h"

namespace cmerc {

// Draws the same numbers for the same arguments, on every machine; it has nothing to do with
// LibTorch's generators.
std::mt19937 RandomOf(uint64_t seed, int epoch, int64_t step);
std::mt19937 RandomOf(uint64_t seed, absl::string_view name);

// The next number in [0, 1): from the generator alone, of which the standard says what it gives, as
// it does not of its distributions.
double DrawFraction(std::mt19937& random);

// [n, M] bool: what is left of `present` [n, M] after each utterance has lost each modality that it
// has with probability `rate`, from 0 to below 1. An utterance of k modalities keeps one of them,
// any with the same probability, and loses each of the others with rate * k / (k - 1), so that all
// told a modality is lost with probability `rate`, or (k - 1) / k where that is less. How many
// numbers are drawn does not depend on the rate, and what is lost at one rate is lost at each that
// is higher.
torch::Tensor RemoveAtRandom(const torch::Tensor& present, double rate, std::mt19937& random);

// Removes modalities of a conversation so, and fills in what is gone (calibration/missing.h), in
// which its errors are those of FillMissing(). Its features have been filled in before where they
// lacked something.
absl::Status RemoveAtRandom(double rate, const FeatureMeans& means, const DatasetInfo& info,
                            std::mt19937& random, Conversation& conversation);

struct ThinnedData {
  PreparedData data;
  double removed = 0;  // the share of the modalities of those conversations that is gone
};

// `data` without part of the modalities of the conversations at `indices`: which of an utterance
// depends on `seed` and the id of its conversation alone, and so is the same for every model.
// InvalidArgument: an utterance has one modality at most, and nothing can be removed. Other errors:
// those of FillMissing(), with the conversation.
absl::StatusOr<ThinnedData> ThinOut(const PreparedData& data, const std::vector<int64_t>& indices,
                                    double rate, uint64_t seed);

}  // namespace cmerc

#endif  // CMERC_CALIBRATION_RANDOM_REMOVAL_H_
