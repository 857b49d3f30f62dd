// A batch of conversations, padded to the longest one.
//
// Letters used everywhere: B conversations, T longest length, N = sum(lengths) real utterances,
// C classes, M modalities, D_m width of modality m, S speakers, H feature width. Padded tensors are
// [B, T, ...], packed ones [N, ...], conversation-major, in time order. float32 unless said.
#ifndef CMERC_CORE_BATCH_H_
#define CMERC_CORE_BATCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/dataset.h"
#include "torch/types.h"

namespace cmerc {

struct Modality {
  std::string name;
  std::vector<torch::Tensor> streams;  // each [B, T, D_m]; zero on padding unless a view says so
};

struct Batch {
  std::vector<Modality> modalities;
  torch::Tensor speakers;  // [B, T] int64 in [0, S); 0 on padding
  torch::Tensor context;   // [B, T, T] bool: utterance i may draw on utterance j. False wherever i
                           // or j is padding; (b, i, i) is true for every real utterance i
  torch::Tensor lengths;   // [B] int64 on the CPU, each >= 1
  torch::Tensor labels;    // [N] int64 in [0, C), or kUnlabelled
  torch::Tensor labelled;  // [L] int64, ascending: the rows of `labels` that have a label.
                           // Undefined: all have one
  torch::Tensor evidence;  // [B, T, M + 2] bool: which sources an utterance has, in the order of
                           // AllViews(): each modality, then context from the same speaker and
                           // from others. A dataset clears what is missing, a view what it
                           // removes; all false on padding. Undefined: every utterance has all

  // What `context` was made by; a view's means are over no more than that.
  ContextScope scope = ContextScope::kConversation;

  int64_t num_conversations() const { return lengths.size(0); }  // B
  int64_t max_length() const { return speakers.size(1); }        // T
  int64_t num_utterances() const { return labels.size(0); }      // N
};

// Puts conversations together, in the given order; the context of an utterance is what
// `info.context` says. `conversations` is not empty and all have the features that `info` names.
// Throws what LibTorch throws.
Batch MakeBatch(absl::Span<const Conversation> conversations, const DatasetInfo& info);

// OK if `batch` has the tensors that `info` promises; else InvalidArgument, which names the tensor
// and the axis that is off: "batch.audio has shape [2, 5, 7], want [2, 5, 3] (B, T, D_audio)". The
// values of speakers and labels are checked only where they are on the CPU, as those of MakeBatch()
// are: reading them from a GPU would mean to wait for it.
absl::Status ValidateBatch(const Batch& batch, const DatasetInfo& info);

// [B, T] bool: which rows of a padded tensor are real utterances.
torch::Tensor ValidRows(const torch::Tensor& lengths, int64_t max_length);

// [N] int64: the rows of a padded tensor seen as [B * T, ...] that are real utterances, so that
// padded.flatten(0, 1).index_select(0, PackedRows(...)) is the packed tensor.
torch::Tensor PackedRows(const torch::Tensor& lengths, int64_t max_length);

// [B, T, ...] -> [N, ...]: the rows of a padded tensor that are real utterances.
torch::Tensor Pack(const torch::Tensor& padded, const torch::Tensor& lengths);

}  // namespace cmerc

#endif  // CMERC_CORE_BATCH_H_
