#include "training/adam.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "kernels/cpu/adam_kernels.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::optim::AdamOptions;
using torch::optim::AdamParamState;

constexpr int64_t kNumbersPerThread = 1 << 15;

// What decoupled weight decay multiplies a parameter by, as torch::optim::AdamW has it.
double KeptByDecay(const AdamOptions& options) { return 1 - options.lr() * options.weight_decay(); }

// Adam's step (Kingma and Ba, 2015, algorithm 1, with weight decay added to the gradient or
// `decoupled` from it).
void Update(const AdamOptions& options, bool decoupled, int64_t step,
            const kernels::AdamNumbers& numbers, int64_t size) {
  // Reads four numbers and writes three.
  CountWork(13.0 * static_cast<double>(size), 7.0 * sizeof(float) * static_cast<double>(size));
  const auto [beta1, beta2] = options.betas();
  const kernels::AdamFactors factors{
      static_cast<float>(decoupled ? KeptByDecay(options) : 1),
      static_cast<float>(decoupled ? 0 : options.weight_decay()),
      static_cast<float>(beta1),
      static_cast<float>(1 - beta1),
      static_cast<float>(beta2),
      static_cast<float>(1 - beta2),
      static_cast<float>(options.lr() / (1 - std::pow(beta1, static_cast<double>(step)))),
      static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, static_cast<double>(step)))),
      static_cast<float>(options.eps())};
  at::parallel_for(0, size, kNumbersPerThread, [&](int64_t begin, int64_t end) {
    kernels::UpdateAdam(factors, numbers, begin, end);
  });
}

// Parameters that are not float32 on the CPU, which have been stepped as often.
struct Together {
  std::vector<Tensor> gradients, parameters, first_moments, second_moments;
};

// The step of all these parameters by LibTorch's operators for lists, of which a GPU runs one for
// many tensors.
void UpdateTogether(const AdamOptions& options, bool decoupled, int64_t step, const Together& all) {
  const auto [beta1, beta2] = options.betas();
  std::vector<Tensor> g = all.gradients;
  if (decoupled) {
    at::_foreach_mul_(all.parameters, at::Scalar(KeptByDecay(options)));
  } else {
    g = at::_foreach_mul(all.parameters, at::Scalar(options.weight_decay()));
    at::_foreach_add_(g, all.gradients);
  }
  at::_foreach_mul_(all.first_moments, at::Scalar(beta1));
  at::_foreach_add_(all.first_moments, g, at::Scalar(1 - beta1));
  at::_foreach_mul_(all.second_moments, at::Scalar(beta2));
  at::_foreach_addcmul_(all.second_moments, g, g, at::Scalar(1 - beta2));
  const double rate = options.lr() / (1 - std::pow(beta1, static_cast<double>(step)));
  const double correction = 1 / std::sqrt(1 - std::pow(beta2, static_cast<double>(step)));
  const std::vector<Tensor> roots = at::_foreach_sqrt(all.second_moments);
  at::_foreach_mul_(roots, at::Scalar(correction));
  at::_foreach_add_(roots, at::Scalar(options.eps()));
  at::_foreach_addcdiv_(all.parameters, all.first_moments, roots, at::Scalar(-rate));
}

// LibTorch 1.13 finds the state of a parameter by its address as text, 2.x by the address itself.
template <typename Key>
Key StateKey(const Tensor& parameter) {
  if constexpr (std::is_pointer_v<Key>) {
    return parameter.unsafeGetTensorImpl();
  } else {
    std::ostringstream address;
    address << parameter.unsafeGetTensorImpl();
    return address.str();
  }
}

// A copy on the parameter's device.
Tensor MomentLike(const Tensor& parameter, const Tensor& moment) {
  return moment
      .to(parameter.options(), /*non_blocking=*/false, /*copy=*/true, at::MemoryFormat::Contiguous)
      .detach();
}

}  // namespace

void Adam::SetLearningRate(double rate) {
  for (torch::optim::OptimizerParamGroup& group : param_groups_) {
    static_cast<AdamOptions&>(group.options()).lr(rate);
  }
}

Tensor Adam::step(LossClosure closure) {
  Tensor loss;
  if (closure != nullptr) {
    const at::AutoGradMode enable_grad(true);
    loss = closure();
  }
  const torch::NoGradGuard no_grad;
  for (torch::optim::OptimizerParamGroup& group : param_groups_) {
    const auto& options = static_cast<const AdamOptions&>(group.options());
    TORCH_CHECK(!options.amsgrad(), "cmerc::Adam has no amsgrad");
    std::map<int64_t, Together> others;  // by their number of steps
    for (Tensor& parameter : group.params()) {
      const auto key = StateKey<std::decay_t<decltype(state_)>::key_type>(parameter);
      auto found = state_.find(key);
      const Tensor gradient = parameter.grad().defined() ? parameter.grad().contiguous() : Tensor();
      if (found == state_.end()) {
        if (!gradient.defined()) continue;
        auto fresh = std::make_unique<AdamParamState>();
        fresh->exp_avg(torch::zeros_like(parameter, at::MemoryFormat::Contiguous));
        fresh->exp_avg_sq(torch::zeros_like(parameter, at::MemoryFormat::Contiguous));
        found = state_.emplace(key, std::move(fresh)).first;
      }
      auto& state = static_cast<AdamParamState&>(*found->second);
      state.step(state.step() + 1);
      if (parameter.is_cpu() && parameter.scalar_type() == torch::kFloat32) {
        TORCH_CHECK(parameter.is_contiguous(),
                    "cmerc::Adam steps parameters that are contiguous on the CPU");
        Update(
            options, decoupled_, state.step(),
            {gradient.defined() ? gradient.data_ptr<float>() : nullptr, parameter.data_ptr<float>(),
             state.exp_avg().data_ptr<float>(), state.exp_avg_sq().data_ptr<float>()},
            parameter.numel());
        parameter.unsafeGetTensorImpl()->bump_version();  // it was written to
      } else {
        Together& together = others[state.step()];
        together.gradients.push_back(gradient.defined() ? gradient : torch::zeros_like(parameter));
        together.parameters.push_back(parameter);
        together.first_moments.push_back(state.exp_avg());
        together.second_moments.push_back(state.exp_avg_sq());
      }
      if (!keep_gradients_) parameter.mutable_grad().reset();
    }
    for (const auto& [step, together] : others) UpdateTogether(options, decoupled_, step, together);
  }
  return loss;
}

std::vector<Adam::Moments> Adam::GetMoments() const {
  std::vector<Moments> result;
  for (const torch::optim::OptimizerParamGroup& group : param_groups_) {
    for (const Tensor& parameter : group.params()) {
      const auto found = state_.find(StateKey<std::decay_t<decltype(state_)>::key_type>(parameter));
      if (found == state_.end()) {
        result.emplace_back();
        continue;
      }
      const auto& state = static_cast<const AdamParamState&>(*found->second);
      result.push_back({state.step(), state.exp_avg(), state.exp_avg_sq()});
    }
  }
  return result;
}

void Adam::SetMoments(const std::vector<Moments>& moments) {
  state_.clear();
  size_t i = 0;
  for (const torch::optim::OptimizerParamGroup& group : param_groups_) {
    for (const Tensor& parameter : group.params()) {
      TORCH_CHECK(i < moments.size(), "there are more parameters than moments");
      const Moments& one = moments[i++];
      if (one.steps == 0) continue;
      TORCH_CHECK(one.first.sizes() == parameter.sizes() && one.second.sizes() == parameter.sizes(),
                  "moments have the shape of their parameter, ", parameter.sizes());
      auto state = std::make_unique<AdamParamState>();
      state->step(one.steps);
      state->exp_avg(MomentLike(parameter, one.first));
      state->exp_avg_sq(MomentLike(parameter, one.second));
      state_.emplace(StateKey<std::decay_t<decltype(state_)>::key_type>(parameter),
                     std::move(state));
    }
  }
}

}  // namespace cmerc
