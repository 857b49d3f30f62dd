// Predicts class 0, and class 1 for utterances whose first feature is below a number, which it
// looks up by the training steps it has seen. They are a buffer, and so of the selected weights
// too.
#include <memory>

#include "core/backbone.h"
#include "core/torch_status.h"
#include "tests/training/scripted_backbone.pb.h"

namespace cmerc {
namespace {

using torch::Tensor;

class ScriptedBackbone final : public Backbone {
 public:
  static absl::StatusOr<std::unique_ptr<Backbone>> Create(const ScriptedBackboneOptions& options,
                                                          const DatasetInfo& info) {
    return CatchTorch(
        [&] { return std::unique_ptr<Backbone>(new ScriptedBackbone(options, info)); });
  }

 private:
  ScriptedBackbone(const ScriptedBackboneOptions& options, const DatasetInfo& info)
      : Backbone(info), options_(options) {
    scale_ = register_parameter("scale", torch::ones({1}));
    steps_ = register_buffer("steps", torch::zeros({}, torch::kInt64));
  }

  Prediction ForwardImpl(const Batch& batch) override {
    if (is_training()) steps_ += 1;
    const auto steps = steps_.item<int64_t>();
    const int64_t mistakes = steps == 0 ? 0 : options_.mistakes(static_cast<int>(steps) - 1);
    const Tensor first = batch.modalities[0].streams[0].select(2, 0).flatten().index_select(
        0, PackedRows(batch.lengths, batch.max_length()));
    const Tensor wrong = (first < mistakes).to(torch::kFloat32);
    const Tensor logits = scale_ * torch::stack({1 - wrong, wrong}, 1);
    return {logits.log_softmax(1), logits};
  }

  const ScriptedBackboneOptions options_;
  Tensor scale_;
  Tensor steps_;
};

const Registered<ScriptedBackboneOptions> kRegistered(Backbones(), ScriptedBackbone::Create);

}  // namespace
}  // namespace cmerc
