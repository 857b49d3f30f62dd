#include "losses/class_weights.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/to_device.h"

namespace cmerc {
namespace {

// The weights of INVERSE_FREQUENCY from the number of utterances of each class, both [C].
torch::Tensor InverseFrequencies(const torch::Tensor& counts) {
  return counts.sum().clamp_min(1) / (counts.numel() * counts.clamp_min(1));
}

// The weights of CLASS_BALANCED from the same counts, also [C].
torch::Tensor ClassBalanced(const torch::Tensor& counts, double beta) {
  // 1 - beta^count without the cancellation where beta is near 1.
  const torch::Tensor effective = -(counts.clamp_min(1) * std::log(beta)).expm1() / (1 - beta);
  const torch::Tensor weights = effective.reciprocal();
  return weights * (counts.numel() / weights.sum());
}

}  // namespace

absl::StatusOr<torch::Tensor> MakeClassWeights(const std::string& options_name,
                                               ClassWeights::Source source,
                                               absl::Span<const double> given, double beta,
                                               const DatasetInfo& info) {
  if (source != ClassWeights::GIVEN && !given.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(options_name, ": ", given.size(),
                     " values of weight with class_weights = ", ClassWeights::Source_Name(source),
                     ", which ignores them; set class_weights: GIVEN or remove them"));
  }
  if (source == ClassWeights::NONE) return torch::Tensor();
  if (source == ClassWeights::GIVEN) {
    if (static_cast<int64_t>(given.size()) != info.num_classes()) {
      return absl::InvalidArgumentError(
          absl::StrCat(options_name, ": ", given.size(), " values of weight, must be ",
                       info.num_classes(), ", one for each class of ", info.name));
    }
    return torch::tensor(torch::ArrayRef<double>(given.data(), given.size()), torch::kFloat64);
  }
  if (static_cast<int64_t>(info.class_counts.size()) != info.num_classes()) {
    return absl::InvalidArgumentError(
        absl::StrCat(options_name, ": class_weights = ", ClassWeights::Source_Name(source),
                     " needs a count for each of the ", info.num_classes(), " classes of ",
                     info.name, ", which has ", info.class_counts.size()));
  }
  const torch::Tensor counts = torch::tensor(info.class_counts, torch::kFloat64);
  return source == ClassWeights::CLASS_BALANCED ? ClassBalanced(counts, beta)
                                                : InverseFrequencies(counts);
}

std::vector<double> WeightsOf(const torch::Tensor& weights) {
  if (!weights.defined()) return {};
  return {weights.data_ptr<double>(), weights.data_ptr<double>() + weights.numel()};
}

torch::Tensor WeightsLike(const torch::Tensor& weights, const torch::Tensor& like) {
  if (!weights.defined()) return weights;
  return ToDevice(weights, like.device()).to(like.scalar_type());
}

}  // namespace cmerc
