// What a backbone plugin provides: a prediction for every utterance of a batch. It reads
// Batch::context and has never heard of calibration.
#ifndef CMERC_CORE_BACKBONE_H_
#define CMERC_CORE_BACKBONE_H_

#include <torch/nn/module.h>

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/batch.h"
#include "core/dataset.h"
#include "registry/registry.h"

namespace cmerc {

class EvidenceFlags;

struct Prediction {
  torch::Tensor log_probs;  // [N, C], natural logarithm; every row's exp sums to 1
  torch::Tensor features;   // [N, H], what the contrastive losses compare
};

class Backbone : public torch::nn::Module {
 public:
  // Checks the batch, calls ForwardImpl, checks its answer (its shapes).
  // InvalidArgument: the batch does not fit the dataset the backbone was made for. Internal,
  // ResourceExhausted: what LibTorch threw.
  absl::StatusOr<Prediction> Forward(const Batch& batch);

  // Forward of each batch, one after the other; the first error of any. In evaluation mode it may
  // cost less than as many calls of Forward where batches hold the same tensors (Tensor::is_same),
  // as the views of one batch do. The predictions are those of Forward.
  absl::StatusOr<std::vector<Prediction>> ForwardAll(absl::Span<const Batch> batches);

  // Forward of each batch, in pairs with the first one: with its random numbers, so that in
  // training dropout leaves out the same, and normalized by the statistics of its batch, which
  // alone enter the running ones. What comes next is as after Forward() of the first batch alone:
  // the random numbers, the running statistics. All batches hold the same utterances, as views of
  // the first one do: their lengths and speakers are its tensors (Tensor::is_same).
  //
  // A prediction is that of a Forward() with these masks and statistics up to the rounding of sums
  // in another order, since many backbones run all batches in one pass. A batch that has the same
  // features, context and evidence as the first one has its prediction bit for bit; in one pass,
  // each conversation of a batch that has.
  absl::StatusOr<std::vector<Prediction>> ForwardPaired(absl::Span<const Batch> batches);

  // What a pass in training normalizes over its batch by.
  enum class BatchStatistics {
    kOwn,         // those of its batch, which enter the running ones
    kOwnAndKeep,  // the same, and they are kept for the passes after it ...
    kKept,        // ... which use them and leave the running ones alone
  };
  // Says what the next passes do. A backbone that normalizes over the batch overrides this; no
  // other has anything to do.
  virtual void UseBatchStatistics(BatchStatistics /*statistics*/) {}

  // For a batch that is predicted in parts, in training: takes the statistics of the whole batch,
  // which alone enter the running ones, and normalizes the passes from now on by them, whatever
  // UseBatchStatistics() says, until ReleaseStatistics(). The statistics depend on no parameter.
  // False, the default: nothing was done, since this backbone does not normalize over the batch;
  // one that does and returns false cannot be trained in parts (training/parts_check.h). May throw
  // what LibTorch throws.
  virtual bool HoldStatisticsOf(const Batch& /*batch*/) { return false; }
  virtual void ReleaseStatistics() {}

  // From now on Forward() and ForwardAll() pass features on that show Batch::evidence
  // (core/evidence_flags.h), whose parameters join those of the backbone as "evidence_flags.0" and
  // so on. They are all 0 at first: then, and for utterances that lack nothing, predictions are
  // those of before. Does nothing the second time. Throws what LibTorch throws.
  void ShowEvidence();

  // What a backbone remembers of a conversation that goes on: all that its next answer needs.
  class Memory {
   public:
    virtual ~Memory() = default;
  };
  // A memory of no utterance yet, for Continue(). Null, the default, where nothing is cheaper than
  // to predict all utterances again. Of backbones for ContextScope::kPast alone.
  virtual std::unique_ptr<Memory> NewMemory() const { return nullptr; }

  // Predicts the next utterance of a conversation and remembers it, in evaluation mode and without
  // gradient. `utterance` is a batch of one conversation with this one utterance, n is how many
  // have come by now, and sources [n] bool says which of them it may draw on, itself, the last,
  // among them. The prediction is the last row of what Forward() says of all n, up to rounding.
  // `memory` is of NewMemory(); after an error it is of no more use. InvalidArgument: the batch is
  // of another form, or does not fit the dataset. Other errors are those of Forward().
  absl::StatusOr<Prediction> Continue(const Batch& utterance, const torch::Tensor& sources,
                                      Memory& memory);

  const DatasetInfo& info() const { return info_; }

 protected:
  explicit Backbone(DatasetInfo info) : info_(std::move(info)) {}

 private:
  // `batch` has been validated. May throw what LibTorch throws.
  virtual Prediction ForwardImpl(const Batch& batch) = 0;

  // As many predictions as batches. The default calls ForwardImpl for each; override it only to
  // compute once what batches share.
  virtual std::vector<Prediction> ForwardAllImpl(absl::Span<const Batch> batches);

  // ForwardPaired() in one pass: the predictions of all batches, one batch after the other, [K N,
  // C] and [K N, H]. It draws the random numbers, and leaves the buffers, of
  // ForwardImpl(batches[0]). nullopt, the default: there is no such pass, and ForwardImpl is called
  // for each batch with the generator set back. It is there for the speed;
  // backbones/layers/copies.h has what those of this project share.
  virtual std::optional<Prediction> ForwardPairedImpl(absl::Span<const Batch> batches);

  // For backbones with a NewMemory() of their own; the arguments have been validated.
  virtual Prediction ContinueImpl(const Batch& utterance, const torch::Tensor& sources,
                                  Memory& memory);

  // What ForwardImpl() and its like get for these batches.
  std::vector<Batch> Shown(absl::Span<const Batch> batches) const;

  // ForwardPaired() in as many passes as batches.
  std::vector<Prediction> ForwardReplayed(absl::Span<const Batch> batches);

  // Internal: the number of predictions is another one, or the shapes of one are wrong.
  absl::Status CheckPredictions(absl::Span<const Prediction> predictions,
                                absl::Span<const Batch> batches) const;

  // Internal: the shapes of a prediction are not those of Prediction.
  absl::Status CheckPrediction(const Prediction& prediction, const Batch& batch) const;

  const DatasetInfo info_;
  std::shared_ptr<EvidenceFlags> evidence_flags_;  // null: nothing is shown
};

// (options, the data it will see) -> backbone, its weights drawn from LibTorch's default generator.
Registry<Backbone, const DatasetInfo&>& Backbones();

}  // namespace cmerc

#endif  // CMERC_CORE_BACKBONE_H_
