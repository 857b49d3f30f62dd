#include "training/step_checks.h"

#include <cmath>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "calibration/not_finite.h"
#include "training/gradients.h"

namespace cmerc {
namespace {

constexpr char kRemedies[] =
    "try a smaller training.learning_rate or a training.gradient_clip_norm, or leave such steps "
    "out with training { on_non_finite: SKIP_BATCH }";

// Beyond it the squares that Adam keeps are infinite, and what has an infinite square is never
// stepped again.
const double kLargestNorm = std::sqrt(static_cast<double>(std::numeric_limits<float>::max()));

absl::Status LossNotFinite(const std::string& name, double value, const LossInput& input,
                           const Backbone& model) {
  std::string where = NotFinitePrediction(input);
  if (where.empty()) where = NotFiniteParameter(model);
  if (where.empty()) where = "all predictions and parameters are finite";
  return absl::OutOfRangeError(
      absl::StrCat("the loss ", name, " is ", value, " (", where, "); ", kRemedies));
}

// "3 * cmerc.NllOptions 1.2 + ..."
std::string WeightedSum(const StepContext& context, const std::vector<double>& values) {
  const std::vector<WeightedLoss>& losses = context.losses;
  std::string text;
  for (size_t i = 0; i < losses.size(); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : " + ", losses[i].WeightIn(context.epoch), " * ",
                    losses[i].name, " ", values[i]);
  }
  return text;
}

}  // namespace

absl::Status CheckLosses(const StepContext& context, const StepNumbers& numbers,
                         const LossInput& input) {
  for (size_t i = 0; i < context.losses.size(); ++i) {
    if (std::isfinite(numbers.losses[i])) continue;
    return LossNotFinite(context.losses[i].name, numbers.losses[i], input, context.live);
  }
  if (!std::isfinite(numbers.total)) {
    return absl::OutOfRangeError(absl::StrCat("the weighted sum of the losses is ", numbers.total,
                                              " = ", WeightedSum(context, numbers.losses),
                                              "; try smaller losses.weight"));
  }
  if (!std::isfinite(numbers.squares_of_buffers)) {
    return absl::OutOfRangeError(absl::StrCat(
        NotFiniteBuffer(context.live),
        "; the features of these conversations are too large: try data { standardize: true }, or "
        "leave such steps out with training { on_non_finite: SKIP_BATCH }"));
  }
  return absl::OkStatus();
}

absl::Status CheckAndClipGradients(const StepContext& context, const StepNumbers& numbers,
                                   const std::vector<torch::Tensor>& parameters) {
  const double norm = std::sqrt(numbers.squares_of_gradients);
  const double clip_norm = context.training.gradient_clip_norm();
  const std::string losses = WeightedSum(context, numbers.losses);
  if (!std::isfinite(norm)) {
    const std::string where = NotFiniteGradient(context.live);
    return absl::OutOfRangeError(absl::StrCat(where.empty() ? "a gradient is not finite" : where,
                                              ", of the losses ", losses, "; ", kRemedies));
  }
  if (clip_norm > 0) ClipGradients(parameters, norm, clip_norm);
  if (norm > kLargestNorm && (clip_norm == 0 || clip_norm > kLargestNorm)) {
    return absl::OutOfRangeError(
        absl::StrCat("the norm of the gradients is ", norm, ", whose square float32 cannot hold (",
                     LargestGradient(context.live), "), of the losses ", losses, "; ", kRemedies));
  }
  return absl::OkStatus();
}

}  // namespace cmerc
