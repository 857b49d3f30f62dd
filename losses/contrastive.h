// The supervised contrastive loss over confidence labels that MSCL and CSCL share; they differ in
// their views.
//
// With f_i = features_i / |features_i|, s_ij = exp(f_i . f_j / temperature), and for each view v
// the confidence labels c_i of core/confidence.h and their class weights W_c = N / count_c:
//
//   P_i = sum_{j != i, c_j = c_i} s_ij        Q_i = sum_{j != i, c_j != c_i} s_ij
//
//   CORRECTED  loss = sum_v mean_{i: P_i > 0} -W[c_i] log(P_i / (P_i + Q_i))
//              An anchor that is alone with its label has no positive and is left out; a view
//              without any anchor adds 0.
//   OFFICIAL   loss = sum_v mean_i -W[c_i] log(pos_i / (pos_i + neg_i)) with, in float32,
//              pos = e P + d Q, neg = (1 - e) P + (1 - d) Q, e = 1 + 1e-7, d = 1e-7.
//              An anchor that is alone with its label adds -W log(1e-7) / N = 16.118, and a loss
//              that is NaN or infinite becomes 0.
//
// A feature vector of length 0 has no direction: its similarity to all is 0 and it gets no
// gradient.
//
// Shapes: features [N, H], log_probs [N, C], labels [N] -> []. Time O(N^2 H), memory O(N^2), for
// any number of views; all but O(N^2) of it is in LossInput::Cosines, which losses share. Source:
// CMERC (MM '24), the contrastive losses; Khosla et al., "Supervised Contrastive Learning" (2020);
// official clloss.py, class CKSCL_base, and train_cm.py, create_class_weight_SCL.
#ifndef CMERC_LOSSES_CONTRASTIVE_H_
#define CMERC_LOSSES_CONTRASTIVE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/loss.h"
#include "core/semantics.pb.h"
#include "core/view.h"

namespace cmerc {

// `temperature` is above 0, and `views` is not empty. InvalidArgument: `semantics` is OFFICIAL and
// `temperature` so small that the official code's exp(1 / temperature) overflows; the message
// starts with `options_name` ("cmerc.MsclOptions").
absl::StatusOr<std::unique_ptr<Loss>> MakeConfidenceContrastive(const std::string& options_name,
                                                                double temperature,
                                                                Semantics semantics,
                                                                std::vector<View> views);

}  // namespace cmerc

#endif  // CMERC_LOSSES_CONTRASTIVE_H_
