#include "core/cosines.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kShortest = 1e-12;

// Rows of the product that are computed at a time: blocks above the diagonal are mirrored.
constexpr int64_t kBlock = 128;

// [N, 1]: what makes the rows one long; 0 for those without a direction.
Tensor ScaleOfRows(const Tensor& features) {
  const Tensor lengths = features.norm(2, 1, /*keepdim=*/true);
  return lengths.masked_fill(lengths < kShortest, INFINITY).reciprocal();
}

// x x^T
Tensor TimesItsTranspose(const Tensor& x) {
  const int64_t num = x.size(0);
  const Tensor result = torch::empty({num, num}, x.options());
  for (int64_t begin = 0; begin < num; begin += kBlock) {
    const int64_t size = std::min(kBlock, num - begin);
    const Tensor part = x.narrow(0, begin, size).mm(x.narrow(0, 0, begin + size).t());
    result.narrow(0, begin, size).narrow(1, 0, begin + size).copy_(part);
    result.narrow(0, 0, begin).narrow(1, begin, size).copy_(part.narrow(1, 0, begin).t());
  }
  return result;
}

struct CosinesFunction : torch::autograd::Function<CosinesFunction> {
  static Tensor forward(AutogradContext* context, const Tensor& features) {
    const Tensor scale = ScaleOfRows(features);
    const Tensor unit = features * scale;
    const Tensor cosines = TimesItsTranspose(unit);
    // Not as saved variables, which a backward pass frees: losses that share the cosines may be
    // differentiated one by one. Neither refers to this node, so nothing is kept alive for ever.
    context->saved_data["unit"] = unit;
    context->saved_data["scale"] = scale;
    return cosines;
  }

  // With S = G + G^T: dL/df_i = (sum_j S_ij u_j - (u_i . sum_j S_ij u_j) u_i) / |f_i|.
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const Tensor unit = context->saved_data["unit"].toTensor();
    const Tensor scale = context->saved_data["scale"].toTensor();
    const Tensor product = (gradients[0] + gradients[0].t()).mm(unit);
    const Tensor along = (product * unit).sum(1, /*keepdim=*/true);
    return {product.addcmul_(unit, along, -1).mul_(scale)};
  }
};

}  // namespace

Tensor UnitRows(const Tensor& features) { return features * ScaleOfRows(features); }

Tensor PairwiseCosines(const Tensor& features) { return CosinesFunction::apply(features); }

Tensor CosineCache::Of(const Tensor& features) {
  const bool with_gradient = features.requires_grad() && torch::GradMode::is_enabled();
  const bool known = features_.defined() && features_.is_same(features) &&
                     version_ == static_cast<int64_t>(features._version()) &&
                     (cosines_.requires_grad() || !with_gradient);
  if (!known) {
    cosines_ = PairwiseCosines(features);
    features_ = features;
    version_ = static_cast<int64_t>(features._version());
  }
  return cosines_;
}

}  // namespace cmerc
