// Dirichlet evidence: evidential deep learning (Sensoy et al., NeurIPS 2018) with a head per
// source, as trusted multi-view classification has one per view (Han et al., ICLR 2021), but added
// up.
//
//   h_m = Dropout(ReLU(encoder_m(mean of the streams of modality m)))            [N, hidden_width]
//   g_sm,i = mean of h_m,j over j != i in the context of i, of the same speaker (s = same) or of
//            others (s = other), that have modality m                            [N, hidden_width]
//   e_own,m = softplus(own_m(h_m)), e_s,m = softplus(s_m(g_sm))                              [N, C]
//             0 where the utterance lacks the source (Batch.evidence), or no such j exists
//   alpha = 1 + sum of all e;  log_probs = log(alpha / sum_c alpha_c)                        [N, C]
//   features = all e side by side                                                      [N, 3 M C]
//
// Negative log-likelihood of these is Sensoy's type II maximum likelihood (equation 3). The vacuity
// C / sum_c alpha_c = C / (C + sum of features) can only rise when a source goes for a whole
// conversation: the terms that are left are the same, since no head sees two sources.
//
// Example:
//   backbone { [type.googleapis.com/cmerc.EvidentialOptions] { hidden_width: 200 } }
//
// Batch.context is obeyed exactly: utterance i hears of j only where context[b, i, j].
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/linear.h>

#include <optional>
#include <vector>

#include "backbones/evidential/evidential.pb.h"
#include "backbones/layers/copies.h"
#include "backbones/layers/dropout.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/packing.h"
#include "backbones/layers/past_context.h"
#include "backbones/layers/row_blocks.h"
#include "core/backbone.h"
#include "core/torch_status.h"

namespace cmerc {
namespace {

using torch::Tensor;

// Rows of the context that are of one kind of speaker, and what they say.
struct Gathered {
  Tensor mean;  // [B, T, hidden_width]
  Tensor any;   // [B, T, 1] float: 1 where there was something to gather
};

class Evidential final : public Backbone {
 public:
  static absl::StatusOr<std::unique_ptr<Backbone>> Create(const EvidentialOptions& options,
                                                          const DatasetInfo& info) {
    if (info.modalities.empty()) {
      return absl::InvalidArgumentError("cmerc.EvidentialOptions: the data has no modality");
    }
    return CatchTorch([&] { return std::unique_ptr<Backbone>(new Evidential(options, info)); });
  }

 private:
  Evidential(const EvidentialOptions& options, const DatasetInfo& data)
      : Backbone(data), options_(options) {
    encoders_ = register_module("encoders", torch::nn::ModuleList());
    own_ = register_module("own", torch::nn::ModuleList());
    same_ = register_module("same_speaker", torch::nn::ModuleList());
    other_ = register_module("other_speakers", torch::nn::ModuleList());
    const int64_t width = options.hidden_width();
    for (const ModalityInfo& modality : info().modalities) {
      encoders_->push_back(torch::nn::Linear(modality.width, width));
      for (torch::nn::ModuleList heads : {own_, same_, other_}) {
        heads->push_back(torch::nn::Linear(width, info().num_classes()));
      }
    }
  }

  Prediction ForwardImpl(const Batch& batch) override {
    return Predict(absl::MakeConstSpan(&batch, 1));
  }

  std::optional<Prediction> ForwardPairedImpl(absl::Span<const Batch> batches) override {
    const CopiesInPass copies(batches.size());
    return Predict(batches);
  }

  // What the batches say, one after the other.
  Prediction Predict(absl::Span<const Batch> batches) {
    const Batch batch = JoinWithoutFeatures(batches);
    const Packing packing(batch);
    const Packing of_first = PackingOfFirst(batches, packing);
    const auto num_modalities = static_cast<int64_t>(info().modalities.size());
    // [B, T, M + 2]: 1 where there is the source. Of real utterances alone.
    const Tensor there = (batch.evidence.defined() ? batch.evidence.to(torch::kFloat32)
                                                   : torch::ones_like(packing.weights())
                                                         .unsqueeze(2)
                                                         .expand({-1, -1, num_modalities + 2})) *
                         packing.weights().unsqueeze(2);
    std::vector<Tensor> evidence;
    for (int64_t m = 0; m < num_modalities; ++m) {
      const Tensor has = there.narrow(2, m, 1);
      const Tensor hidden = Encode(m, batches, of_first);
      evidence.push_back(EvidenceOf(own_, m, hidden) * packing.Pack(has));
      const Tensor said = packing.Pad(hidden) * has;
      for (const bool same : {true, false}) {
        const Gathered gathered = Gather(batch, said, has, same);
        const Tensor source = there.narrow(2, num_modalities + (same ? 0 : 1), 1);
        evidence.push_back(EvidenceOf(same ? same_ : other_, m, packing.Pack(gathered.mean)) *
                           packing.Pack(gathered.any * source));
      }
    }
    const Tensor features = torch::cat(evidence, 1);
    const Tensor alpha = 1 + features.view({features.size(0), -1, info().num_classes()}).sum(1);
    return {(alpha / alpha.sum(1, /*keepdim=*/true)).log(), features};
  }

  // [N, hidden_width] of all batches, one after the other. `packing` is that of one batch.
  Tensor Encode(int64_t m, absl::Span<const Batch> batches, const Packing& packing) {
    const Versions versions = Versions::OfModality(batches, m);
    const CopiesInPass copies(versions.count());
    const bool past = DrawsOnPastAlone(info());
    const Tensor encoded = versions.MapRows(m, packing, past, [&](const Tensor& rows) {
      return Float32(encoders_[m]->as<torch::nn::Linear>()->forward(rows));
    });
    return versions.ToCopies(Dropout(torch::relu(encoded), options_.dropout(), is_training()));
  }

  // [N, hidden_width] -> [N, C]
  static Tensor EvidenceOf(const torch::nn::ModuleList& heads, int64_t m, const Tensor& rows) {
    return torch::softplus(Float32(heads->ptr<torch::nn::LinearImpl>(m)->forward(rows)));
  }

  // said [B, T, hidden_width], zero where has [B, T, 1] is.
  static Gathered Gather(const Batch& batch, const Tensor& said, const Tensor& has, bool same) {
    const RowBlocks blocks(batch.max_length(), batch.num_conversations() * batch.max_length());
    const int64_t width = said.size(2);
    const Tensor all = torch::cat({said, has}, 2);
    const Tensor sums = blocks.Gather(1, [&](int64_t first, int64_t count) {
      const Tensor to = RowsOf(batch.speakers, 1, first, count).unsqueeze(2);
      const Tensor from = batch.speakers.unsqueeze(1);
      Tensor allowed = same ? to == from : to != from;
      allowed.diagonal(/*offset=*/first, 1, 2).fill_(false);
      allowed.logical_and_(RowsOf(batch.context, 1, first, count));
      return Float32(allowed.to(torch::kFloat32).bmm(all));
    });
    const Tensor number = sums.narrow(2, width, 1);
    return {sums.narrow(2, 0, width) / number.clamp_min(1), (number > 0).to(torch::kFloat32)};
  }

  const EvidentialOptions options_;
  torch::nn::ModuleList encoders_ = nullptr;  // [M]
  // [M] heads of what the utterance, its speaker and the others say.
  torch::nn::ModuleList own_ = nullptr;
  torch::nn::ModuleList same_ = nullptr;
  torch::nn::ModuleList other_ = nullptr;
};

const Registered<EvidentialOptions> kRegistered(Backbones(), Evidential::Create);

}  // namespace
}  // namespace cmerc
