// Matching attention of type "general2": how much each utterance of a conversation draws on the
// others (official model_cm.py, class MatchingAttention).
#ifndef CMERC_BACKBONES_LAYERS_MATCHING_ATTENTION_H_
#define CMERC_BACKBONES_LAYERS_MATCHING_ATTENTION_H_

#include "torch/types.h"

namespace cmerc {

// [B, R, T]: alpha_ij = exp(s_ij) / sum over j' in context(i) of exp(s_ij') for j in context(i),
// else 0, with s_ij = tanh(query_i . x_j). A row without context is 0.
//
// queries [B, R, H], of some utterances; x [B, T, H], of all; context [B, R, T] bool. The official
// code has one mask for all i, the padding mask.
torch::Tensor MatchingAttention(const torch::Tensor& queries, const torch::Tensor& x,
                                const torch::Tensor& context);

// [B, T, H]: sum_j alpha_ij x_j with the queries weight x_i + bias, those of the official linear
// layer `transform`, weight [H, H] and bias [H]. context [B, T, T].
torch::Tensor GatherByMatching(const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, const torch::Tensor& context);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_LAYERS_MATCHING_ATTENTION_H_
