// Context-level supervised contrastive loss (CSCL): features of utterances with the same
// confidence label come together, for the views same_speaker and other_speakers.
//
//   loss = sum_v SupCon(features, labels_v),   v: the views same_speaker and other_speakers
//
// features [N, H], log_probs and each view's log_probs [N, C], labels [N] -> []. Formula and
// sources: losses/contrastive.h; official clloss.py, class CKSCL_context.
//
//   loss { [type.googleapis.com/cmerc.CsclOptions] { temperature: 0.1 } }
#include <memory>

#include "core/loss.h"
#include "losses/contrastive.h"
#include "losses/cscl.pb.h"

namespace cmerc {
namespace {

absl::StatusOr<std::unique_ptr<Loss>> Create(const CsclOptions& options,
                                             const DatasetInfo& /*info*/) {
  return MakeConfidenceContrastive(options.GetTypeName(), options.temperature(),
                                   options.semantics(), ContextViews());
}

const Registered<CsclOptions> kRegistered(Losses(), Create);

}  // namespace
}  // namespace cmerc
