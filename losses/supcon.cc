// Supervised contrastive loss over the emotion labels of a batch.
//
//   z_i = features_i / |features_i|,   P(i) = { j != i: y_j = y_i },
//   loss = mean_{i: P(i) not empty} -1/|P(i)| sum_{p in P(i)}
//          log( exp(z_i . z_p / temperature) / sum_{j != i} exp(z_i . z_j / temperature) )
//
// features [N, H], labels [N] -> []. Reads no views and no log_probs. Time O(N^2 H), memory O(N^2).
// An utterance that is alone with its emotion has no positive and is no anchor; without any anchor
// the loss is 0. A feature vector of length 0 has no direction: its similarity to all is 0 and it
// gets no gradient.
// Source: Khosla et al., "Supervised Contrastive Learning" (NeurIPS 2020), eq. 2 (L_out), and its
// temperature.
//
//   losses { weight: 0.1 loss { [type.googleapis.com/cmerc.SupConOptions] { temperature: 0.07 } } }
#include <memory>

#include "core/loss.h"
#include "losses/group_log_sums.h"
#include "losses/supcon.pb.h"

namespace cmerc {
namespace {

class SupCon final : public Loss {
 public:
  static absl::StatusOr<std::unique_ptr<Loss>> Create(const SupConOptions& options,
                                                      const DatasetInfo& /*info*/) {
    return std::make_unique<SupCon>(options.temperature());
  }

  explicit SupCon(double temperature) : temperature_(temperature) {}

 private:
  torch::Tensor ComputeImpl(const LossInput& input) const override {
    const torch::Tensor& labels = input.labels;
    const torch::Tensor cosines = input.Cosines();
    const torch::Tensor self = torch::eye(labels.size(0), labels.options().dtype(torch::kBool));
    const torch::Tensor logits = (cosines / temperature_).masked_fill(self, kLogZero);
    const torch::Tensor positive =
        (labels.unsqueeze(1) == labels.unsqueeze(0)).logical_and(self.logical_not());
    const torch::Tensor num_positives = positive.sum(1);
    const torch::Tensor mean_of_positives =
        logits.masked_fill(positive.logical_not(), 0).sum(1) / num_positives.clamp_min(1);
    const torch::Tensor is_anchor = num_positives > 0;
    const torch::Tensor terms = logits.logsumexp(1) - mean_of_positives;
    return terms.masked_fill(is_anchor.logical_not(), 0).sum() / is_anchor.sum().clamp_min(1);
  }

  const double temperature_;
};

const Registered<SupConOptions> kRegistered(Losses(), SupCon::Create);

}  // namespace
}  // namespace cmerc
