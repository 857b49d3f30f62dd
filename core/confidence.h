// Confidence change: how much surer of the true emotion a model is with all the evidence than with
// one source of it removed (the quantity that CMERC calibrates).
#ifndef CMERC_CORE_CONFIDENCE_H_
#define CMERC_CORE_CONFIDENCE_H_

#include "torch/types.h"

namespace cmerc {

// [N]: log-probability of the true class. log_probs [N, C], labels [N] int64.
torch::Tensor TrueClassLogProbs(const torch::Tensor& log_probs, const torch::Tensor& labels);

// [N] int64 in {0, 1}: 1 where the full prediction is right and either the view's is wrong or the
// full one is surer of the truth (official train_cm.py, "for SCL label"). No gradient. Among equal
// log-probabilities the first class is the prediction.
torch::Tensor ConfidenceLabels(const torch::Tensor& full_log_probs,
                               const torch::Tensor& view_log_probs, const torch::Tensor& labels);

// [2] float32: N / count of each confidence label, 0 for one that does not occur (official
// train_cm.py, create_class_weight_SCL).
torch::Tensor ConfidenceClassWeights(const torch::Tensor& confidence_labels);

}  // namespace cmerc

#endif  // CMERC_CORE_CONFIDENCE_H_
