// A pre-norm Transformer encoder over the utterances of a conversation (Vaswani et al., "Attention
// Is All You Need", NeurIPS 2017, section 3; Xiong et al., "On Layer Normalization in the
// Transformer Architecture", ICML 2020, section 3, "Pre-LN").
//
//   x_i = sum_m projection_m(modality m of i, the mean of its streams)
//         + speakers[speaker of i] + sinusoids(position of i)                   [N, hidden_width]
//   x = Dropout(x), then in each layer
//     x = x + Dropout(Attention(LayerNorm(x)))
//     x = x + Dropout(linear2(Dropout(GELU(linear1(LayerNorm(x))))))
//   features = LayerNorm(x)                                                     [N, hidden_width]
//   log_probs = log_softmax(head(Dropout(features)))                                     [N, C]
//
// where utterance i attends to itself and to every j that Batch.context lets it draw on.
//
// Each modality has a projection of its own, and they are summed rather than put side by side: its
// share in x then depends neither on how wide its features are nor, in cost, on how many modalities
// there are.
//
// Example:
//   backbone { [type.googleapis.com/cmerc.TransformerOptions] { num_layers: 3 dropout: 0.4 } }
//
// No path leads from j to i unless Batch.context does, over at most num_layers steps ("exact"). So
// a conversation of which utterances draw on the past alone is continued from the keys and values
// of those that have come.
//
// layers.* and norm.* have the names, shapes and initial distributions of PyTorch's
// nn.TransformerEncoder(nn.TransformerEncoderLayer(norm_first=True), norm=nn.LayerNorm()), and
// compute the same.
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/modules/transformerlayer.h>

#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "backbones/layers/copies.h"
#include "backbones/layers/dropout.h"
#include "backbones/layers/float32.h"
#include "backbones/layers/growing_rows.h"
#include "backbones/layers/packing.h"
#include "backbones/layers/past_context.h"
#include "backbones/layers/row_blocks.h"
#include "backbones/transformer/transformer.pb.h"
#include "core/backbone.h"
#include "core/status.h"
#include "core/torch_status.h"

namespace cmerc {
namespace {

using torch::Tensor;
using LayerOptions = torch::nn::TransformerEncoderLayerOptions;

// InvalidArgument names every reason why no model can be made with these options for this data.
absl::Status CheckOptions(const TransformerOptions& options, const DatasetInfo& info) {
  std::vector<std::string> errors;
  if (options.hidden_width() % options.num_heads() != 0) {
    errors.push_back(
        absl::StrCat("cmerc.TransformerOptions: hidden_width = ", options.hidden_width(),
                     ", must be a multiple of num_heads = ", options.num_heads()));
  }
  if (info.modalities.empty()) {
    errors.push_back("cmerc.TransformerOptions: the data has no modality");
  }
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(errors, "; "));
}

// [length, width] float32, of the positions t from `first` on: column 2k is
// sin(t / 10000^(2k / width)), column 2k + 1 the cosine (Vaswani et al., section 3.5).
Tensor Sinusoids(int64_t first, int64_t length, int64_t width, torch::Device device) {
  // The angles of late positions keep their digits.
  const auto options = torch::TensorOptions(torch::kFloat64).device(device);
  const Tensor rates = torch::exp(torch::arange((width + 1) / 2, options) *
                                  (-2 * std::log(10000.0) / static_cast<double>(width)));
  const Tensor angles = torch::arange(first, first + length, options).unsqueeze(1) * rates;
  return torch::stack({angles.sin(), angles.cos()}, 2)
      .flatten(1)
      .narrow(1, 0, width)
      .to(torch::kFloat32);
}

class Transformer final : public Backbone {
 public:
  static absl::StatusOr<std::unique_ptr<Backbone>> Create(const TransformerOptions& options,
                                                          const DatasetInfo& info) {
    RETURN_IF_ERROR(CheckOptions(options, info));
    return CatchTorch([&] { return std::unique_ptr<Backbone>(new Transformer(options, info)); });
  }

  std::unique_ptr<Memory> NewMemory() const override {
    if (!DrawsOnPastAlone(info())) return nullptr;
    return std::make_unique<TransformerMemory>(options_.num_layers());
  }

 private:
  // The keys and values of all utterances so far in each layer, [n, hidden_width].
  struct TransformerMemory final : Memory {
    explicit TransformerMemory(int num_layers) : keys(num_layers), values(num_layers) {}

    std::vector<GrowingRows> keys, values;
  };

  Transformer(const TransformerOptions& options, const DatasetInfo& data)
      : Backbone(data), options_(options) {
    const int64_t width = options.hidden_width();
    projections_ = register_module("projections", torch::nn::ModuleList());
    for (const ModalityInfo& modality : info().modalities) {
      projections_->push_back(torch::nn::Linear(modality.width, width));
    }
    if (options.speaker_embedding()) {
      speakers_ = register_module("speakers", torch::nn::Embedding(info().num_speakers, width));
    }
    layers_ = register_module("layers", torch::nn::ModuleList());
    for (int l = 0; l < options.num_layers(); ++l) {
      // It owns the weights. Its own forward() knows only normalization after a sub-layer, and no
      // mask per conversation.
      layers_->push_back(
          torch::nn::TransformerEncoderLayer(LayerOptions(width, options.num_heads())
                                                 .dim_feedforward(options.feed_forward_width())
                                                 .dropout(options.dropout())));
    }
    norm_ = register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({width})));
    head_ = register_module("head", torch::nn::Linear(width, info().num_classes()));
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
    // Rows are not divided in training, where dropout draws for all pairs at once.
    const RowBlocks blocks(batch.max_length(),
                           batch.num_conversations() * options_.num_heads() * batch.max_length(),
                           !is_training());
    const LazyRows blocked(blocks, [&](int64_t first, int64_t count) {
      // Padding attends to itself, so that no row of a softmax is empty.
      const Tensor all = torch::arange(batch.max_length(), batch.speakers.options());
      const Tensor self = all.narrow(0, first, count).unsqueeze(1) == all;
      return RowsOf(batch.context, 1, first, count).logical_or(self).logical_not();
    });
    Tensor x = Dropped(Inputs(batches, PackingOfFirst(batches, packing), /*first_position=*/0));
    for (const auto& module : *layers_) {
      auto& layer = *module->as<torch::nn::TransformerEncoderLayer>();
      x = x + Dropped(Attend(layer, layer.norm1->forward(x), packing, blocked));
      x = x + FeedForward(layer, x);
    }
    return Classify(x);
  }

  Prediction ContinueImpl(const Batch& utterance, const Tensor& sources, Memory& memory) override {
    auto& past = dynamic_cast<TransformerMemory&>(memory);
    Tensor x = Inputs(absl::MakeConstSpan(&utterance, 1), Packing(utterance), past.keys[0].count());
    for (size_t l = 0; l < past.keys.size(); ++l) {
      auto& layer = *layers_[l]->as<torch::nn::TransformerEncoderLayer>();
      x = x + AttendToPast(layer, layer.norm1->forward(x), sources, past.keys[l], past.values[l]);
      x = x + FeedForward(layer, x);
    }
    return Classify(x);
  }

  // x [N, hidden_width], after the last layer.
  Prediction Classify(const Tensor& x) {
    const Tensor features = norm_->forward(x);
    return {torch::log_softmax(Float32(head_->forward(Dropped(features))), 1), features};
  }

  // What the feed-forward network adds to x [N, hidden_width].
  Tensor FeedForward(torch::nn::TransformerEncoderLayerImpl& layer, const Tensor& x) const {
    const Tensor wide = layer.linear1->forward(layer.norm2->forward(x));
    const Tensor active =
        options_.activation() == TransformerOptions::GELU ? torch::gelu(wide) : torch::relu(wide);
    return Dropped(layer.linear2->forward(Dropped(active)));
  }

  Tensor Dropped(const Tensor& x) const { return Dropout(x, options_.dropout(), is_training()); }

  // x [N, hidden_width], before the first layer, of all batches, one after the other. `packing` is
  // that of one batch. Conversations begin at `first_position`.
  Tensor Inputs(absl::Span<const Batch> batches, const Packing& packing, int64_t first_position) {
    const bool past = DrawsOnPastAlone(info());
    Tensor x;
    for (int64_t m = 0; m < static_cast<int64_t>(info().modalities.size()); ++m) {
      const Versions versions = Versions::OfModality(batches, m);
      const Tensor projected = versions.MapRows(m, packing, past, [&](const Tensor& rows) {
        return Float32(projections_[m]->as<torch::nn::Linear>()->forward(rows));
      });
      const Tensor of_copies = versions.ToCopies(projected);
      x = m == 0 ? of_copies : x + of_copies;
    }
    // The utterances are the same in all batches.
    const auto add = [&](const Tensor& rows) {
      const auto copies = static_cast<int64_t>(batches.size());
      x = x + (copies == 1 ? rows : rows.repeat({copies, 1}));
    };
    const Batch& first = batches[0];
    if (speakers_) add(speakers_->forward(packing.Pack(first.speakers)));
    if (options_.positions()) {
      const Tensor table = Sinusoids(first_position, first.max_length(), options_.hidden_width(),
                                     first.speakers.device());
      add(packing.Pack(table.expand({first.num_conversations(), -1, -1})));
    }
    return x;
  }

  // Multi-head self-attention (Vaswani et al., section 3.2.2). x [N, hidden_width]; blocked
  // [B, T, T] bool, the same for every head -> [N, hidden_width]. Only the products of queries,
  // keys and values see padding.
  Tensor Attend(torch::nn::TransformerEncoderLayerImpl& layer, const Tensor& x,
                const Packing& packing, const LazyRows& blocked) {
    torch::nn::MultiheadAttentionImpl& attention = *layer.self_attn;
    const int64_t heads = options_.num_heads();
    const int64_t head_width = options_.hidden_width() / heads;
    const Tensor projected =
        packing.Pad(torch::linear(x, attention.in_proj_weight, attention.in_proj_bias));
    // [3, B, heads, T, head_width]: queries, keys, values.
    const Tensor parts =
        projected.view({packing.num_conversations(), packing.max_length(), 3, heads, head_width})
            .permute({2, 0, 3, 1, 4});
    const Tensor queries = parts[0] / std::sqrt(static_cast<double>(head_width));
    const Tensor of_heads = blocked.blocks().Gather(2, [&](int64_t first, int64_t count) {
      const Tensor scores =
          Float32(RowsOf(queries, 2, first, count).matmul(parts[1].transpose(2, 3)));
      const Tensor weights = scores
                                 .masked_fill(blocked.Rows(first, count).unsqueeze(1),
                                              -std::numeric_limits<double>::infinity())
                                 .softmax(3);
      return Dropout(weights, options_.dropout(), is_training()).matmul(parts[2]);
    });
    const Tensor gathered = of_heads.transpose(1, 2).flatten(2);
    return attention.out_proj->forward(packing.Pack(gathered));
  }

  // Attend() of the next utterance of a conversation, x [1, hidden_width], to those of `sources`
  // [n] bool; appends its key and value to theirs.
  Tensor AttendToPast(torch::nn::TransformerEncoderLayerImpl& layer, const Tensor& x,
                      const Tensor& sources, GrowingRows& keys, GrowingRows& values) const {
    torch::nn::MultiheadAttentionImpl& attention = *layer.self_attn;
    const int64_t heads = options_.num_heads();
    const int64_t head_width = options_.hidden_width() / heads;
    const std::vector<Tensor> parts =
        torch::linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, 1);
    keys.Append(parts[1]);
    values.Append(parts[2]);
    const auto of_heads = [&](const Tensor& rows) {  // [heads, rows, head_width]
      return rows.view({rows.size(0), heads, head_width}).transpose(0, 1);
    };
    const Tensor query =
        of_heads(parts[0].contiguous()) / std::sqrt(static_cast<double>(head_width));
    const Tensor weights = Float32(query.matmul(of_heads(keys.rows()).transpose(1, 2)))
                               .masked_fill(sources.logical_not().view({1, 1, -1}),
                                            -std::numeric_limits<double>::infinity())
                               .softmax(2);
    const Tensor gathered = weights.matmul(of_heads(values.rows())).transpose(0, 1).flatten(1);
    return attention.out_proj->forward(gathered);
  }

  const TransformerOptions options_;
  torch::nn::ModuleList projections_ = nullptr;  // one Linear per modality
  torch::nn::Embedding speakers_ = nullptr;      // null without speaker_embedding
  torch::nn::ModuleList layers_ = nullptr;       // of TransformerEncoderLayer
  torch::nn::LayerNorm norm_ = nullptr;
  torch::nn::Linear head_ = nullptr;
};

const Registered<TransformerOptions> kRegistered(Backbones(), Transformer::Create);

}  // namespace
}  // namespace cmerc
