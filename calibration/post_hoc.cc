#include "calibration/post_hoc.h"

#include <torch/nn/functional/loss.h>
#include <torch/optim/lbfgs.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "core/torch_status.h"
#include "metrics/calibration.h"

namespace cmerc {
namespace {

constexpr double kScaleBound = 20;  // T, T_c and s are in [1 / 20, 20]
const double kLogBound = std::log(kScaleBound);
constexpr double kShiftBound = 10;  // b is in [-10, 10]
constexpr double kFirstTemperature = 1.5;
// A parameter is at its bound from this share of it on: tanh(x) comes closer only for x > 2.6.
constexpr double kAtBound = 0.99;
// A slope of the NLL that is nothing but roundings of log-probabilities.
constexpr double kFlat = 1e-12;

// An increasing function of x into [-bound, bound], with value 0 and slope 1 at 0.
torch::Tensor Bounded(const torch::Tensor& x, double bound) {
  return bound * torch::tanh(x / bound);
}

torch::Tensor Positive(const torch::Tensor& x) { return Bounded(x, kLogBound).exp(); }

// The best of the parameters that LBFGS tries, the first included.
torch::Tensor Minimize(const torch::Tensor& start,
                       const std::function<torch::Tensor(const torch::Tensor&)>& loss) {
  torch::Tensor parameters = start.clone().requires_grad_();
  torch::Tensor best = start;
  double least = std::numeric_limits<double>::infinity();
  torch::optim::LBFGS optimizer({parameters}, torch::optim::LBFGSOptions(1)
                                                  .max_iter(500)
                                                  .tolerance_grad(1e-10)
                                                  .tolerance_change(1e-15)
                                                  .line_search_fn("strong_wolfe"));
  optimizer.step([&] {
    optimizer.zero_grad();
    torch::Tensor value = loss(parameters);
    value.backward();
    if (value.item<double>() < least) {
      least = value.item<double>();
      best = parameters.detach().clone();
    }
    return value;
  });
  return best;
}

torch::Tensor Nll(const torch::Tensor& logits, const torch::Tensor& labels) {
  return torch::nn::functional::cross_entropy(logits, labels);
}

// logits [n, C], labels [n].
double FitTemperature(const torch::Tensor& logits, const torch::Tensor& labels) {
  const double start = kLogBound * std::atanh(std::log(kFirstTemperature) / kLogBound);
  const torch::Tensor fitted =
      Minimize(torch::full({1}, start, torch::kFloat64),
               [&](const torch::Tensor& x) { return Nll(logits / Positive(x), labels); });
  return Positive(fitted).item<double>();
}

// The logits and labels of the classes that have labels.
struct Present {
  torch::Tensor classes;  // [K] positions
  torch::Tensor logits;   // [n, K]
  torch::Tensor labels;   // [n] in [0, K)
};

Present OnlyPresent(const torch::Tensor& logits, const torch::Tensor& labels) {
  const torch::Tensor classes = labels.bincount({}, logits.size(1)).nonzero().squeeze(1);
  torch::Tensor positions = torch::zeros({logits.size(1)}, torch::kInt64);
  positions.index_put_({classes}, torch::arange(classes.size(0)));
  return {classes, logits.index_select(1, classes), positions.index_select(0, labels)};
}

std::vector<double> ToVector(const torch::Tensor& values) {
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

// The slope of the NLL in 1 / T, at 1 / T = scale.
double Slope(const torch::Tensor& logits, const torch::Tensor& labels, double scale) {
  const torch::Tensor expected = (torch::softmax(logits * scale, 1) * logits).sum(1);
  const torch::Tensor truth = logits.gather(1, labels.unsqueeze(1)).squeeze(1);
  return (expected - truth).mean().item<double>();
}

// Why a temperature is withheld.
std::string TemperatureWithheld(const torch::Tensor& logits, const torch::Tensor& labels) {
  const double flattest = Slope(logits, labels, 1 / kScaleBound);
  const double steepest = Slope(logits, labels, kScaleBound);
  // The slope rises with 1 / T. Where it is 0 everywhere, no temperature makes a difference.
  if (flattest > -kFlat && steepest < kFlat) return "";
  if (flattest < 0 && steepest > kFlat) return "";
  return flattest < 0 ? absl::StrCat("the best T is ", 1 / kScaleBound, " or below")
                      : absl::StrCat("the best T is ", kScaleBound, " or above");
}

// Why a remedy with parameters of each class is withheld. `bounded` holds the parameters of the
// classes that have labels as shares of their bounds, `logits` is what the remedy makes of these
// classes' logits, and `temperature` why the temperature is withheld, which classes without labels
// get.
std::string ClasswiseWithheld(const Present& present, int64_t num_classes,
                              const torch::Tensor& bounded, const torch::Tensor& logits,
                              const std::string& temperature) {
  const int64_t with_labels = present.classes.size(0);
  if (num_classes == 1) return "";
  if (with_labels == 1) return "all labels are of one class";
  if (bounded.abs().max().item<double>() > kAtBound) {
    return "a parameter is at the bound of its range";
  }
  if (logits.argmax(1).equal(present.labels)) return "it predicts every label";
  if (with_labels < num_classes && !temperature.empty()) {
    return "a class without labels gets the temperature, which is withheld";
  }
  return "";
}

Remedy FitVector(const Present& present, int64_t num_classes, const Remedy& temperature) {
  const auto shift = [](const torch::Tensor& x) { return Bounded(x, kShiftBound); };
  const auto apply = [&](const torch::Tensor& x) {
    return present.logits * Positive(x[0]) + shift(x[1]);
  };
  const torch::Tensor start = torch::zeros({2, present.classes.size(0)}, torch::kFloat64);
  const torch::Tensor fitted =
      Minimize(start, [&](const torch::Tensor& x) { return Nll(apply(x), present.labels); });
  torch::Tensor parameters = torch::zeros({2, num_classes}, torch::kFloat64);
  parameters[0].fill_(1 / temperature.parameters[0]);
  const torch::Tensor own_shift = shift(fitted[1]);
  parameters[0].index_put_({present.classes}, Positive(fitted[0]));
  parameters[1].index_put_({present.classes}, own_shift - own_shift.mean());
  const torch::Tensor bounded =
      torch::stack({Bounded(fitted[0], kLogBound) / kLogBound, own_shift / kShiftBound});
  return {"vector", ToVector(parameters),
          ClasswiseWithheld(present, num_classes, bounded, apply(fitted), temperature.withheld)};
}

Remedy FitClasswise(const Present& present, int64_t num_classes, const Remedy& temperature) {
  const auto apply = [&](const torch::Tensor& x) { return present.logits / Positive(x); };
  const torch::Tensor start = torch::zeros({present.classes.size(0)}, torch::kFloat64);
  const torch::Tensor fitted =
      Minimize(start, [&](const torch::Tensor& x) { return Nll(apply(x), present.labels); });
  torch::Tensor parameters = torch::full({num_classes}, temperature.parameters[0], torch::kFloat64);
  parameters.index_put_({present.classes}, Positive(fitted));
  const torch::Tensor bounded = Bounded(fitted, kLogBound) / kLogBound;
  return {"classwise_temperature", ToVector(parameters),
          ClasswiseWithheld(present, num_classes, bounded, apply(fitted), temperature.withheld)};
}

}  // namespace

absl::StatusOr<std::vector<Remedy>> FitRemedies(absl::Span<const double> log_probs,
                                                absl::Span<const int64_t> labels,
                                                int64_t num_classes) {
  RETURN_IF_ERROR(MeasureCalibration(log_probs, labels, num_classes).status());
  return CatchTorch([&]() -> std::vector<Remedy> {
    const auto n = static_cast<int64_t>(labels.size());
    const torch::Tensor logits =
        torch::tensor(c10::ArrayRef<double>(log_probs.data(), log_probs.size()), torch::kFloat64)
            .view({n, num_classes});
    const torch::Tensor truth =
        torch::tensor(c10::ArrayRef<int64_t>(labels.data(), labels.size()), torch::kInt64);
    const Remedy temperature = {
        "temperature", {FitTemperature(logits, truth)}, TemperatureWithheld(logits, truth)};
    const Present present = OnlyPresent(logits, truth);
    return {temperature, FitVector(present, num_classes, temperature),
            FitClasswise(present, num_classes, temperature)};
  });
}

std::vector<double> Apply(const Remedy& remedy, absl::Span<const double> log_probs,
                          int64_t num_classes) {
  const auto classes = static_cast<size_t>(num_classes);
  const std::vector<double>& p = remedy.parameters;
  std::vector<double> result(log_probs.size());
  for (size_t begin = 0; begin < result.size(); begin += classes) {
    double* row = result.data() + begin;
    for (size_t c = 0; c < classes; ++c) {
      const double x = log_probs[begin + c];
      row[c] = remedy.method == "vector"        ? p[c] * x + p[classes + c]
               : remedy.method == "temperature" ? x / p[0]
                                                : x / p[c];
    }
    const double highest = *std::max_element(row, row + classes);
    double sum = 0;
    for (size_t c = 0; c < classes; ++c) sum += std::exp(row[c] - highest);
    for (size_t c = 0; c < classes; ++c) row[c] -= highest + std::log(sum);
  }
  return result;
}

}  // namespace cmerc
