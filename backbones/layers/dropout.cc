#include "backbones/layers/dropout.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Config.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "backbones/layers/copies.h"
#include "kernels/cpu/dropout_kernels.h"
#include "profile/scope.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kNumbersPerThread = 1 << 15;

// uint8: 1 with the probability `keep`, as Tensor::bernoulli_ would draw it.
Tensor DrawKept(torch::IntArrayRef shape, double keep) {
  const Tensor kept = torch::empty(shape, torch::kUInt8);
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  auto* const state = at::check_generator<at::CPUGeneratorImpl>(generator);
  at::mt19937 engine = state->engine();
  at::mt19937_data_pod data = engine.data();
  kernels::MersenneTwister twister{data.state_.data(), data.next_, data.left_};
  kernels::DrawBernoulli(twister, keep, kept.numel(), kept.data_ptr<uint8_t>());
  data.next_ = twister.next;
  data.left_ = twister.left;
  engine.set_data(data);
  state->set_engine(engine);
  return kept;
}

// Calls f(first, count) for parts of the numbers of x; x, a mask and another tensor go through
// memory.
template <typename F>
void ForEachPart(const Tensor& x, const F& f) {
  CountWork(0, 9.0 * static_cast<double>(x.numel()));
  at::parallel_for(0, x.numel(), kNumbersPerThread,
                   [&](int64_t begin, int64_t end) { f(begin, end - begin); });
}

// x times its factors, 0 or 1 / keep. kept [...] lies like x, but that row k of it belongs to row
// order[k] of x where there is an order.
Tensor Scaled(const Tensor& x, const Tensor& kept, const Tensor& order, double keep) {
  const Tensor rows = x.contiguous();
  const Tensor result = torch::empty_like(rows);
  const float scale = 1.0F / static_cast<float>(keep);
  const auto* const from = rows.data_ptr<float>();
  const auto* const factors = kept.data_ptr<uint8_t>();
  auto* const to = result.data_ptr<float>();
  if (!order.defined()) {
    ForEachPart(rows, [&](int64_t first, int64_t count) {
      kernels::ScaleKept(from + first, factors + first, scale, count, to + first);
    });
    return result;
  }
  const auto* const row_of = order.data_ptr<int64_t>();
  const int64_t width = rows.numel() / rows.size(0);
  CountWork(0, 9.0 * static_cast<double>(rows.numel()));
  at::parallel_for(0, rows.size(0), std::max<int64_t>(1, kNumbersPerThread / width),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t k = begin; k < end; ++k) {
                       const int64_t at = row_of[k] * width;
                       kernels::ScaleKept(from + at, factors + k * width, scale, width, to + at);
                     }
                   });
  return result;
}

struct ScaleFunction : torch::autograd::Function<ScaleFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& kept,
                        const c10::optional<Tensor>& order, double keep) {
    context->save_for_backward({kept, order.value_or(Tensor())});
    context->saved_data["keep"] = keep;
    return Scaled(x, kept, order.value_or(Tensor()), keep);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    return {ScaleFunction::apply(gradients[0], saved[0], c10::optional<Tensor>(saved[1]),
                                 context->saved_data["keep"].toDouble()),
            Tensor(), Tensor(), Tensor()};
  }
};

// Takes `kept` over: it becomes the mask of both, dropout and ReLU.
struct ScaleReluFunction : torch::autograd::Function<ScaleReluFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& kept,
                        double keep) {
    const Tensor result = torch::empty_like(x);
    const float scale = 1.0F / static_cast<float>(keep);
    const auto* const from = x.data_ptr<float>();
    auto* const factors = kept.data_ptr<uint8_t>();
    auto* const to = result.data_ptr<float>();
    ForEachPart(x, [&](int64_t first, int64_t count) {
      kernels::ScaleKeptPositive(from + first, scale, count, factors + first, to + first);
    });
    context->save_for_backward({kept});
    context->saved_data["keep"] = keep;
    return result;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {ScaleFunction::apply(gradients[0], context->get_saved_variables()[0],
                                 c10::optional<Tensor>(), context->saved_data["keep"].toDouble()),
            Tensor(), Tensor()};
  }
};

// Whether the loops here do what LibTorch does. Its build with Intel's MKL draws masks by that
// library's generator; a tensor with gaps or in another order of axes has its mask in the order of
// memory.
bool Fast(const Tensor& x) {
  return !AT_MKL_ENABLED() && x.is_cpu() && x.scalar_type() == torch::kFloat32 && x.dim() > 0 &&
         x.is_contiguous();
}

// The shape of one copy of x; copies lie along `axis`.
std::vector<int64_t> ShapeOfCopy(const Tensor& x, int64_t axis) {
  std::vector<int64_t> shape = x.sizes().vec();
  const int64_t copies = CopiesInPass::Now();
  if (copies == 1) return shape;
  TORCH_CHECK(axis < x.dim() && shape[axis] % copies == 0, "a tensor of shape ", x.sizes(),
              " holds no ", copies, " copies along axis ", axis);
  shape[axis] /= copies;
  return shape;
}

// The mask of one copy, for all of them.
Tensor ForAllCopies(const Tensor& mask, int64_t axis) {
  const int64_t copies = CopiesInPass::Now();
  if (copies == 1) return mask;
  std::vector<int64_t> times(mask.dim(), 1);
  times[axis] = copies;
  return mask.repeat(times);
}

// What torch::dropout multiplies the numbers of one copy by, for all copies.
Tensor LibTorchMask(const Tensor& x, double p, int64_t axis) {
  const Tensor ones = torch::ones(ShapeOfCopy(x, axis), x.options().requires_grad(false));
  return ForAllCopies(torch::dropout(ones, p, /*train=*/true), axis);
}

// The order of the first copy's rows, and then the same of the others.
Tensor OrderOfCopies(const Tensor& order) {
  const int64_t copies = CopiesInPass::Now();
  if (copies == 1) return order;
  const int64_t rows = order.size(0) / copies;
  const Tensor first = torch::arange(copies).unsqueeze(1) * rows;
  return (first + order.masked_select(order < rows)).flatten();
}

void CheckProbability(double p) {
  TORCH_CHECK(p >= 0 && p <= 1, "dropout probability is ", p, ", want 0 to 1");
}

}  // namespace

Tensor Dropout(const Tensor& x, double p, bool training, int64_t axis) {
  CheckProbability(p);
  // p = 1 draws nothing.
  if (!training || p == 0 || p == 1 || x.numel() == 0) return torch::dropout(x, p, training);
  if (!Fast(x)) {
    return CopiesInPass::Now() == 1 ? torch::dropout(x, p, training) : x * LibTorchMask(x, p, axis);
  }
  return ScaleFunction::apply(x, ForAllCopies(DrawKept(ShapeOfCopy(x, axis), 1 - p), axis),
                              c10::optional<Tensor>(), 1 - p);
}

Tensor DropoutRelu(const Tensor& x, double p, bool training) {
  if (!training || p == 0 || p == 1 || x.numel() == 0 || !Fast(x)) {
    return torch::relu(Dropout(x, p, training));
  }
  CheckProbability(p);
  return ScaleReluFunction::apply(x, ForAllCopies(DrawKept(ShapeOfCopy(x, 0), 1 - p), 0), 1 - p);
}

Tensor DropoutInOrder(const Tensor& x, double p, bool training, const Tensor& order) {
  CheckProbability(p);
  if (!training || p == 0) return x;
  const Tensor order_of_all = OrderOfCopies(order);
  if (p == 1 || x.numel() == 0 || !Fast(x)) {
    const Tensor mask = LibTorchMask(x, p, 0);
    return x * torch::empty_like(mask).index_copy_(0, order_of_all, mask);
  }
  return ScaleFunction::apply(x, ForAllCopies(DrawKept(ShapeOfCopy(x, 0), 1 - p), 0),
                              c10::optional<Tensor>(order_of_all), 1 - p);
}

}  // namespace cmerc
