// ContextMean: every utterance beside the mean of its context. With B conversations, T utterances
// in the longest one, N utterances in all, C classes and H = hidden_width:
//
//   u_i = the modalities side by side, each the mean of its streams    [B, T, sum of D_m]
//   e_i = ReLU(encode(u_i))                                            [B, T, H]
//   c_i = the mean of e_j over all j in the context of i               [B, T, H]
//   features_i = ReLU(combine(e_i beside c_i))                         [N, H]
//   log_probs_i = log_softmax(classify(Dropout(features_i)))           [N, C]
//
//   backbone { [type.googleapis.com/example.ContextMeanOptions] { hidden_width: 128 } }
#include <torch/nn/modules/linear.h>

#include <memory>
#include <vector>

#include "context_mean.pb.h"
#include "core/backbone.h"
#include "core/torch_status.h"

namespace example {
namespace {

using torch::Tensor;

class ContextMean final : public cmerc::Backbone {
 public:
  // The registry has checked the (cmerc.range) of every option; what the data must have is checked
  // here.
  static absl::StatusOr<std::unique_ptr<cmerc::Backbone>> Create(const ContextMeanOptions& options,
                                                                 const cmerc::DatasetInfo& info) {
    if (info.modalities.empty()) {
      return absl::InvalidArgumentError("example.ContextMeanOptions: the data has no modality");
    }
    return cmerc::CatchTorch(
        [&] { return std::unique_ptr<cmerc::Backbone>(new ContextMean(options, info)); });
  }

 private:
  ContextMean(const ContextMeanOptions& options, const cmerc::DatasetInfo& data)
      : Backbone(data), dropout_(options.dropout()) {
    int64_t width = 0;
    for (const cmerc::ModalityInfo& modality : info().modalities) width += modality.width;
    const int64_t hidden = options.hidden_width();
    encode_ = register_module("encode", torch::nn::Linear(width, hidden));
    combine_ = register_module("combine", torch::nn::Linear(2 * hidden, hidden));
    classify_ = register_module("classify", torch::nn::Linear(hidden, info().num_classes()));
  }

  cmerc::Prediction ForwardImpl(const cmerc::Batch& batch) override {
    std::vector<Tensor> columns;
    for (const cmerc::Modality& modality : batch.modalities) {
      columns.push_back(torch::stack(modality.streams).mean(0));
    }
    const Tensor encoded = torch::relu(encode_->forward(torch::cat(columns, 2)));

    // [B, T, T]; 0 wherever there is padding.
    const Tensor context = batch.context.to(encoded.dtype());
    const Tensor counts = context.sum(2, /*keepdim=*/true).clamp_min(1);
    const Tensor means = context.bmm(encoded) / counts;

    // From here on real utterances only: [B, T, ...] -> [N, ...].
    const Tensor rows = cmerc::PackedRows(batch.lengths, batch.max_length()).to(encoded.device());
    const Tensor both = torch::cat({encoded, means}, 2).flatten(0, 1).index_select(0, rows);
    const Tensor features = torch::relu(combine_->forward(both));
    const Tensor dropped = torch::dropout(features, dropout_, is_training());
    return {torch::log_softmax(classify_->forward(dropped), 1), features};
  }

  const double dropout_;
  torch::nn::Linear encode_ = nullptr;
  torch::nn::Linear combine_ = nullptr;
  torch::nn::Linear classify_ = nullptr;
};

const cmerc::Registered<ContextMeanOptions> kRegistered(cmerc::Backbones(), ContextMean::Create);

}  // namespace
}  // namespace example
