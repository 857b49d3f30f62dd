#include "calibration/not_finite.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cmerc {
namespace {

using torch::Tensor;

// "VALUE at [INDEX]" of the number at `position` in row-major order.
std::string Number(const Tensor& tensor, int64_t position) {
  const auto value = tensor.reshape({-1})[position].item<double>();
  if (tensor.dim() == 0) return absl::StrCat(value);
  std::vector<int64_t> index;
  for (int64_t axis = tensor.dim() - 1; axis >= 0; --axis) {
    index.push_back(position % tensor.size(axis));
    position /= tensor.size(axis);
  }
  std::reverse(index.begin(), index.end());
  return absl::StrCat(value, " at [", absl::StrJoin(index, ", "), "]");
}

// "WHAT: nan at [3, 17]", or "" where all numbers are finite.
std::string Named(const std::string& what, const Tensor& tensor) {
  const std::string number = NotFiniteIn(tensor);
  return number.empty() ? "" : absl::StrCat(what, ": ", number);
}

// The first tensor that is not finite among those that `tensor_of` makes of the items of a module's
// dictionary: "WHATNAME: nan at [3]", or "".
template <typename Items, typename TensorOf>
std::string FirstNotFinite(const std::string& what, const Items& items, const TensorOf& tensor_of) {
  for (const auto& item : items) {
    const std::string found = Named(what + item.key(), tensor_of(item.value()));
    if (!found.empty()) return found;
  }
  return "";
}

std::string NotFiniteOf(const Prediction& prediction, const std::string& of) {
  const std::string log_probs = Named("log_probs " + of, prediction.log_probs);
  return log_probs.empty() ? Named("features " + of, prediction.features) : log_probs;
}

}  // namespace

std::string NotFiniteIn(const Tensor& tensor) {
  if (!tensor.defined()) return "";
  const torch::NoGradGuard no_grad;
  const Tensor bad = tensor.isfinite().logical_not().reshape({-1});
  return bad.any().item<bool>() ? Number(tensor, bad.to(torch::kInt8).argmax().item<int64_t>())
                                : "";
}

std::string NotFinitePrediction(const LossInput& input) {
  std::string found = NotFiniteOf(input.full, "of the full prediction");
  for (const ViewPrediction& view : input.views) {
    if (!found.empty()) break;
    found = NotFiniteOf(view.prediction, "without " + view.view.name());
  }
  return found;
}

std::string NotFiniteParameter(const torch::nn::Module& module) {
  return FirstNotFinite("the parameter ", module.named_parameters(),
                        [](const Tensor& parameter) { return parameter; });
}

std::string NotFiniteGradient(const torch::nn::Module& module) {
  return FirstNotFinite("the gradient of ", module.named_parameters(),
                        [](const Tensor& parameter) { return parameter.grad(); });
}

std::string NotFiniteBuffer(const torch::nn::Module& module) {
  return FirstNotFinite("the buffer ", module.named_buffers(),
                        [](const Tensor& buffer) { return buffer; });
}

std::string LargestGradient(const torch::nn::Module& module) {
  const torch::NoGradGuard no_grad;
  std::string found;
  double largest = -1;
  for (const auto& parameter : module.named_parameters()) {
    const Tensor& gradient = parameter.value().grad();
    if (!gradient.defined() || gradient.numel() == 0) continue;
    const Tensor size = gradient.abs().reshape({-1});
    const auto position = size.argmax().item<int64_t>();
    if (size[position].item<double>() <= largest) continue;
    largest = size[position].item<double>();
    found = absl::StrCat("the gradient of ", parameter.key(), ": ", Number(gradient, position));
  }
  return found;
}

}  // namespace cmerc
