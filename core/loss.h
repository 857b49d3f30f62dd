// What a loss plugin provides: a scalar from the full prediction and, if it asks for them, from the
// predictions of views.
#ifndef CMERC_CORE_LOSS_H_
#define CMERC_CORE_LOSS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "core/backbone.h"
#include "core/cosines.h"
#include "core/dataset.h"
#include "core/view.h"
#include "registry/registry.h"
#include "torch/types.h"

namespace cmerc {

struct ViewPrediction {
  View view;
  Prediction prediction;  // detached or not: that is the trainer's choice
};

struct LossInput {
  Prediction full;
  std::vector<ViewPrediction> views;  // at least those the loss asked for
  torch::Tensor labels;               // [N] int64 in [0, C)

  // The prediction of a view the loss asked for.
  const Prediction& at(const View& view) const;

  // full.features. Throws ValueError unless it is [N, H].
  const torch::Tensor& Features() const;

  // [N, N]: the cosines of Features() (core/cosines.h), which all losses of a step share.
  torch::Tensor Cosines() const;

  mutable CosineCache cosine_cache = {};  // of Cosines()
};

class Loss {
 public:
  virtual ~Loss() = default;

  // Which views Compute needs; none for a loss that does not calibrate.
  virtual std::vector<View> views() const { return {}; }

  // A scalar ([]), differentiable in full.log_probs and/or full.features. Checks that all views are
  // there, that shapes agree and that N >= 1; turns what LibTorch throws into a Status.
  absl::StatusOr<torch::Tensor> Compute(const LossInput& input) const;

 private:
  // May throw what LibTorch throws.
  virtual torch::Tensor ComputeImpl(const LossInput& input) const = 0;
};

// (options, the data it will see) -> loss.
Registry<Loss, const DatasetInfo&>& Losses();

}  // namespace cmerc

#endif  // CMERC_CORE_LOSS_H_
