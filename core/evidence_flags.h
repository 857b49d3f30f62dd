// Shows a backbone which evidence an utterance lacks, without the backbone knowing
// (docs/evidence.md).
#ifndef CMERC_CORE_EVIDENCE_FLAGS_H_
#define CMERC_CORE_EVIDENCE_FLAGS_H_

#include <torch/nn/module.h>

#include <vector>

#include "core/batch.h"
#include "core/dataset.h"

namespace cmerc {

// A parameter for each modality, called by its position: W_m [M + 2, D_m], a shift of the features
// for each source of evidence, in the order of Batch::evidence. All are 0 at first and draw no
// random number.
class EvidenceFlags : public torch::nn::Module {
 public:
  explicit EvidenceFlags(const DatasetInfo& info);

  // The batch with the features of every stream of modality m shifted by the rows of W_m of the
  // sources that the utterance lacks. Utterances that lack nothing, and padding, keep their bits;
  // where nothing lacks, and on the CPU the numbers tell, the batch is returned as it is. A GPU is
  // not waited for. Throws what LibTorch throws.
  Batch Show(const Batch& batch) const;

 private:
  std::vector<torch::Tensor> shifts_;
};

}  // namespace cmerc

#endif  // CMERC_CORE_EVIDENCE_FLAGS_H_
