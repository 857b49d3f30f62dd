// A backbone that obeys every law of the suite, and the same with one defect.
//
//   x = the modalities side by side, each the mean of its streams, and the speaker   [B, T, D]
//   h_i = tanh(own x_i + mean over the context of i of shared x_j)                   [B, T,
//   hidden_width] log_probs = log_softmax(Dropout(head h))
#include <ATen/Context.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include "core/backbone.h"
#include "core/torch_status.h"
#include "tests/conformance/broken/broken_backbone.pb.h"

namespace cmerc {
namespace {

using torch::Tensor;
using Options = BrokenBackboneOptions;

class BrokenBackbone final : public Backbone {
 public:
  static absl::StatusOr<std::unique_ptr<Backbone>> Create(const Options& options,
                                                          const DatasetInfo& info) {
    return CatchTorch([&] { return std::unique_ptr<Backbone>(new BrokenBackbone(options, info)); });
  }

  std::unique_ptr<Memory> NewMemory() const override {
    return Has(Options::FORGETS) ? std::make_unique<Memory>() : nullptr;
  }

 private:
  static DatasetInfo Info(const Options& options, DatasetInfo info) {
    if (options.defect() == Options::WRONG_INFO) info.class_names.push_back("surprise");
    return info;
  }

  BrokenBackbone(const Options& options, const DatasetInfo& data)
      : Backbone(Info(options, data)), defect_(options.defect()), dropout_(options.dropout()) {
    int64_t width = 0;
    for (size_t m = 0; m < data.modalities.size(); ++m) {
      if (!Drops(m)) width += data.modalities[m].width;
    }
    if (Has(Options::THREE_MODALITIES)) {
      TORCH_CHECK(data.modalities.size() == 3, "three modalities, please");
    }
    if (Has(Options::READS_LABELS)) ++width;
    const int64_t hidden = options.hidden_width();
    own_ = register_module("own", torch::nn::Linear(width, hidden));
    shared_ = register_module("shared", torch::nn::Linear(width, hidden));
    speakers_ = register_module(
        "speakers",
        torch::nn::Embedding(Has(Options::NINE_SPEAKERS) ? 9 : data.num_speakers, width));
    head_ = register_module("head", torch::nn::Linear(hidden, info().num_classes()));
    if (Has(Options::DEAD_PARAMETER)) register_parameter("dead", torch::randn({3}));
    if (Has(Options::UNREGISTERED_TENSOR)) scale_ = torch::randn({hidden});
    if (Has(Options::HUNDRED_UTTERANCES)) {
      positions_ = register_module("positions", torch::nn::Embedding(100, width));
    }
    if (Has(Options::NORMALIZES_PADDING)) {
      norm_ = register_module("norm", torch::nn::BatchNorm1d(width));
    }
    if (Has(Options::OWN_SEED)) {
      static int64_t models = 0;
      const torch::NoGradGuard no_grad;
      head_->bias.fill_(static_cast<double>(++models));
    }
  }

  bool Has(Options::Defect defect) const { return defect_ == defect; }

  bool Drops(size_t modality) const {
    return Has(Options::DROPS_A_MODALITY) && modality > 0 &&
           modality + 1 == info().modalities.size();
  }

  Prediction ForwardImpl(const Batch& batch) override {
    const int64_t longest = batch.max_length();
    const Tensor rows = PackedRows(batch.lengths, longest);
    const Tensor x = Inputs(batch, rows);
    const Tensor valid = ValidRows(batch.lengths, longest);
    const Tensor all = valid.unsqueeze(2).logical_and(valid.unsqueeze(1));
    Tensor weights = (Has(Options::IGNORES_CONTEXT) ? all : batch.context).to(torch::kFloat32);
    if (Has(Options::DRAWS_BY_CONTEXT) && is_training() && !batch.context.equal(all)) {
      torch::rand({1});
    }
    if (Has(Options::LEAKS_ACROSS_CONTEXT)) weights = weights + 0.1 * all;
    const bool past = batch.scope == ContextScope::kPast;
    if (Has(Options::SEES_THE_FUTURE) && past) weights = weights + 0.1 * all;
    const Tensor count = Has(Options::COUNTS_PADDING)
                             ? torch::full({1, 1, 1}, static_cast<double>(longest))
                             : weights.sum(2, /*keepdim=*/true).clamp_min(1);
    Tensor hidden = own_->forward(x) + (weights / count).bmm(shared_->forward(x));
    if (Has(Options::KNOWS_THE_LENGTH) && past) {
      hidden = hidden + 0.1 * batch.lengths.view({-1, 1, 1}).to(torch::kFloat32);
    }
    hidden = hidden.flatten(0, 1).index_select(0, rows);
    if (Has(Options::SEES_BATCH_MATES)) hidden = hidden - hidden.mean(0, /*keepdim=*/true);
    if (Has(Options::DIVIDES_BY_ZERO)) {
      const Tensor scale = batch.modalities[0].streams[0].abs().max();
      hidden = hidden * (scale / scale);
    }
    if (Has(Options::REMEMBERS_BATCHES)) {
      if (memory_.defined()) hidden = hidden + memory_;
      memory_ = hidden.detach().mean(0, /*keepdim=*/true);
    }
    if (Has(Options::ALTERNATES) && is_training()) {
      odd_ = !odd_;
      if (odd_) hidden = 1.1 * hidden;
    }
    if (Has(Options::COUNTS_CONVERSATIONS) && is_training()) {
      hidden = hidden * (1 + 0.1 * static_cast<double>(batch.num_conversations()));
    }
    if (Has(Options::COUNTS_PASSES) && is_training() && dropout_ > 0) {
      hidden = hidden * (1 + 0.1 * static_cast<double>(++passes_));
    }
    if (Has(Options::UNREGISTERED_TENSOR)) hidden = hidden * scale_;
    if (Has(Options::COUNTS_ITS_MODULES))
      hidden = 0.25 * static_cast<double>(children().size()) * hidden;
    Tensor features = torch::tanh(hidden);
    if (Has(Options::DETACHED)) features = features.detach();
    if (Has(Options::FAILS_ON_ONE_UTTERANCE)) features = features.squeeze();
    const bool drops = is_training() || Has(Options::DROPOUT_IN_EVALUATION);
    Tensor logits = head_->forward(torch::dropout(features, dropout_, drops));
    if (Has(Options::REVERSED_GRADIENT)) logits = 2 * logits.detach() - logits;
    return {Has(Options::LOGITS) ? logits : logits.log_softmax(1), features};
  }

  std::vector<Prediction> ForwardAllImpl(absl::Span<const Batch> batches) override {
    std::vector<Prediction> predictions;
    for (const Batch& batch : batches) {
      const bool mixed_up = Has(Options::MIXES_UP_BATCHES) && !predictions.empty() &&
                            batch.num_utterances() == batches[0].num_utterances();
      predictions.push_back(mixed_up ? predictions[0] : ForwardImpl(batch));
    }
    return predictions;
  }

  std::optional<Prediction> ForwardPairedImpl(absl::Span<const Batch> batches) override {
    if (!Has(Options::MASKS_OF_ITS_OWN) && !Has(Options::DETACHES_VIEWS)) return std::nullopt;
    at::Generator generator = at::globalContext().defaultGenerator(torch::kCPU);
    const Tensor begin = generator.get_state();
    std::vector<Tensor> log_probs, features;
    for (const Batch& batch : batches) {
      if (Has(Options::DETACHES_VIEWS)) generator.set_state(begin);
      const Prediction prediction = ForwardImpl(batch);
      const bool detached = Has(Options::DETACHES_VIEWS) && !features.empty();
      log_probs.push_back(detached ? prediction.log_probs.detach() : prediction.log_probs);
      features.push_back(detached ? prediction.features.detach() : prediction.features);
    }
    return Prediction{torch::cat(log_probs), torch::cat(features)};
  }

  Prediction ContinueImpl(const Batch& utterance, const Tensor& /*sources*/,
                          Memory& /*memory*/) override {
    return ForwardImpl(utterance);
  }

  Tensor Inputs(const Batch& batch, const Tensor& rows) {
    std::vector<Tensor> columns;
    for (size_t m = 0; m < batch.modalities.size(); ++m) {
      const std::vector<Tensor>& streams = batch.modalities[m].streams;
      if (Has(Options::WRITES_TO_THE_BATCH)) Tensor(streams[0]).mul_(0.5);
      TORCH_CHECK(
          !Has(Options::REFUSES_LARGE_FEATURES) || streams[0].abs().max().item<double>() < 1e6,
          "no features as large as this");
      if (Has(Options::NEEDS_CONTIGUOUS_FEATURES)) streams[0].view({-1});
      if (!Drops(m)) columns.push_back(torch::stack(streams).mean(0));
      if (Has(Options::CENTERS_FEATURES)) columns.back() = Centered(columns.back(), batch);
    }
    if (Has(Options::READS_LABELS)) {
      const Tensor column = torch::zeros({batch.speakers.numel(), 1});
      column.index_copy_(0, rows, batch.labels.unsqueeze(1).to(torch::kFloat32));
      columns.push_back(column.view({batch.speakers.size(0), -1, 1}));
    }
    Tensor features = torch::cat(columns, 2);
    if (Has(Options::REUSES_EQUAL_FEATURES)) {
      if (last_.defined() && features.equal(last_)) features = last_;
      last_ = features.detach();
    }
    Tensor x = features + speakers_->forward(batch.speakers);
    // One row has no variance.
    if (norm_ && (x.size(0) * x.size(1) > 1 || !is_training())) {
      x = norm_->forward(x.flatten(0, 1)).view_as(x);
    }
    if (positions_) x = x + positions_->forward(torch::arange(batch.max_length()));
    return x;
  }

  // x [B, T, D] minus the mean of each conversation.
  static Tensor Centered(const Tensor& x, const Batch& batch) {
    const Tensor valid =
        ValidRows(batch.lengths, batch.max_length()).unsqueeze(2).to(torch::kFloat32);
    const Tensor mean = (x * valid).sum(1, /*keepdim=*/true) / batch.lengths.view({-1, 1, 1});
    return (x - mean) * valid;
  }

  const Options::Defect defect_;
  const double dropout_;
  torch::nn::Linear own_ = nullptr;
  torch::nn::Linear shared_ = nullptr;
  torch::nn::Embedding speakers_ = nullptr;
  torch::nn::Embedding positions_ = nullptr;  // null without its defect
  torch::nn::BatchNorm1d norm_ = nullptr;     // null without its defect
  torch::nn::Linear head_ = nullptr;
  Tensor scale_;
  Tensor memory_;
  Tensor last_;
  bool odd_ = false;
  int64_t passes_ = 0;
};

const Registered<BrokenBackboneOptions> kRegistered(Backbones(), BrokenBackbone::Create);

}  // namespace
}  // namespace cmerc
