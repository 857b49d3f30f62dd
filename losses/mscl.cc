// Modality-level supervised contrastive loss (MSCL): features of utterances with the same
// confidence label come together, for one view per modality of the dataset.
//
//   loss = sum_v SupCon(features, labels_v),   v: one view per modality of the dataset
//
// features [N, H], log_probs and each view's log_probs [N, C], labels [N] -> []. Formula and
// sources: losses/contrastive.h; official clloss.py, class CKSCL_tav.
//
//   loss { [type.googleapis.com/cmerc.MsclOptions] { temperature: 0.1 } }
#include <memory>

#include "core/loss.h"
#include "losses/contrastive.h"
#include "losses/mscl.pb.h"

namespace cmerc {
namespace {

absl::StatusOr<std::unique_ptr<Loss>> Create(const MsclOptions& options, const DatasetInfo& info) {
  return MakeConfidenceContrastive(options.GetTypeName(), options.temperature(),
                                   options.semantics(), ModalityViews(info));
}

const Registered<MsclOptions> kRegistered(Losses(), Create);

}  // namespace
}  // namespace cmerc
