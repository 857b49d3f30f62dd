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

  // The prediction of a view that the loss asked for. Throws ValueError if it is not there.
  const Prediction& at(const View& view) const;

  // full.features. Throws ValueError unless it is [N, H].
  const torch::Tensor& Features() const;

  // [N, N]: the cosines of Features() (core/cosines.h), which all losses of a step share.
  torch::Tensor Cosines() const;

  mutable CosineCache cosine_cache = {};  // what Cosines() has computed
};

class Loss {
 public:
  virtual ~Loss() = default;

  // Which views Compute needs; none for a loss that does not calibrate.
  virtual std::vector<View> views() const { return {}; }

  // Whether it does nothing unless the predictions of the views have a gradient: it moves them, and
  // not the full prediction.
  virtual bool teaches_views() const { return false; }

  // How much an utterance of each class counts, [C]; empty for a loss in which all count the same.
  virtual std::vector<double> class_weights() const { return {}; }

  // A scalar ([]), differentiable in full.log_probs, full.features or both. InvalidArgument: a view
  // is missing, shapes do not agree or N is 0. What LibTorch throws comes as the Status that
  // StatusFromException() makes of it.
  absl::StatusOr<torch::Tensor> Compute(const LossInput& input) const;

 private:
  // May throw what LibTorch throws.
  virtual torch::Tensor ComputeImpl(const LossInput& input) const = 0;
};

// (options, the data it will see) -> loss.
Registry<Loss, const DatasetInfo&>& Losses();

}  // namespace cmerc

#endif  // CMERC_CORE_LOSS_H_
