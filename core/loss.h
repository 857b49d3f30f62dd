// What a loss plugin provides: a scalar from the full prediction and, if it asks for them, from the
// predictions of views.
#ifndef CMERC_CORE_LOSS_H_
#define CMERC_CORE_LOSS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
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

  // The same loss of one of its views() alone, which knows nothing of this one; null, the default,
  // where there is no such thing.
  virtual std::unique_ptr<Loss> OfView(const View& /*view*/) const { return nullptr; }

  // What it remembers from step to step, by name: its own tensors, so that who writes into them
  // (copy_) puts it back to where it was. The same names, types and shapes for its whole life;
  // none, the default, for a loss that remembers nothing. A run that is interrupted keeps them.
  virtual std::map<std::string, torch::Tensor> State() const { return {}; }

  // What State() remembers of a step that was taken: whoever trains calls it once after each, with
  // what Compute() saw in it, detached, of the views the log_probs alone. Nothing else changes
  // State(). Errors as those of Compute().
  absl::Status AfterStep(const LossInput& input);

  // A scalar ([]), differentiable in full.log_probs, full.features or both. InvalidArgument: a view
  // is missing, shapes do not agree or N is 0. What LibTorch throws comes as the Status that
  // StatusFromException() makes of it.
  absl::StatusOr<torch::Tensor> Compute(const LossInput& input) const;

 private:
  // May throw what LibTorch throws.
  virtual torch::Tensor ComputeImpl(const LossInput& input) const = 0;

  // For losses with a State(). May throw what LibTorch throws.
  virtual void AfterStepImpl(const LossInput& /*input*/) {}

  // InvalidArgument: as Compute() says.
  absl::Status Check(const LossInput& input) const;
};

// (options, the data it will see) -> loss.
Registry<Loss, const DatasetInfo&>& Losses();

}  // namespace cmerc

#endif  // CMERC_CORE_LOSS_H_
