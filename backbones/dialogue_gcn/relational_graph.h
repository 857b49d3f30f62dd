// DialogueGCN's graph over the utterances of each conversation: edges within a window, their
// attention, and the relational convolution over them.
//
// Everywhere `edges` is [B, T, T] bool, and edges(b, i, j) says that utterance i gathers from
// utterance j; [B, R, T] are those of R utterances i that follow each other. Letters: core/batch.h;
// D and H are the widths in and out.
#ifndef CMERC_BACKBONES_DIALOGUE_GCN_RELATIONAL_GRAPH_H_
#define CMERC_BACKBONES_DIALOGUE_GCN_RELATIONAL_GRAPH_H_

#include <cstdint>

#include "backbones/layers/packing.h"
#include "backbones/layers/row_blocks.h"
#include "torch/types.h"

namespace cmerc {

// Which of context [B, R, T] bool, of the utterances i from `first` on, lies within the window:
// i - past <= j <= i + future. A negative number means no limit on that side.
torch::Tensor WindowEdges(const torch::Tensor& context, int64_t past, int64_t future,
                          int64_t first = 0);

// [B, R, T]: alpha_ij = exp(s_ij) / sum over the edges (i, j') of exp(s_ij') with
// s_ij = query_i . x_j, and 0 where there is no edge (paper, equation 3; a query is weight x_i).
// queries [B, R, D]; x [B, T, D]; edges [B, R, T].
torch::Tensor EdgeAttention(const torch::Tensor& queries, const torch::Tensor& x,
                            const torch::Tensor& edges);

// [B, T, T]: the official edge attention (conv-emotion, DialogueGCN/model.py, MaskedEdgeAttention,
// "attn1"). Its score is weight_j . x_i, by the position j of the utterance that a message comes
// from, and for each j it is normalized over the utterances i that the message goes to; everything
// else, padding too, takes part with a weight of 1e-10.
// x [B, T, D]; weight [longest conversation, D]. Throws where T is longer.
torch::Tensor OfficialEdgeAttention(const torch::Tensor& x, const torch::Tensor& weight,
                                    const torch::Tensor& edges);

// The types of the edges of a batch. An edge by which i gathers from j has the relation
//   2 (speaker_j S + speaker_i) + (0 if j < i, else 1),
// one of 2 S^2, numbered as in the official code (edge_type_mapping).
//
// A "slot" is a target i together with a speaker and a direction of time: all edges of a slot have
// one relation. Speakers are numbered anew within each conversation, 0 to L - 1, so that the cost
// depends on the speakers of a conversation and not on those of the data set.
//
// On a device, which would be waited for to learn which slots have edges, and for few speakers: L
// is S, slots and counts are undefined, and relations [2 B T S] is that of every slot.
struct Relations {
  torch::Tensor members;  // [B, T, L] bool: utterance j is by the l-th speaker of its conversation
  torch::Tensor slots;    // [E] int64: the slots that have edges, in the order of their relations,
                          // as indices into [2, B, T, L]
  torch::Tensor relations;  // [R] int64: the relations that occur, ascending
  torch::Tensor counts;     // [R] int64 on the CPU: slots of each
};

// speakers [B, T] int64 in [0, num_speakers).
Relations MakeRelations(const LazyRows& edges, const torch::Tensor& speakers, int64_t num_speakers,
                        const Packing& packing);

// [B, T, H]: y_i = sum over edges (i, j) of alpha_ij x_j W_r(i,j), where the weight of relation r
// is W_r = sum_k coefficients[r, k] basis[k] (Schlichtkrull et al., "Modeling Relational Data with
// Graph Convolutional Networks", ESWC 2018, equation 3; torch_geometric 1.3, RGCNConv without its
// root and bias).
//
// x [B, T, D]; alpha [B, T, T], 0 where there is no edge; basis [K, D, H]; coefficients [2 S^2, K].
//
// Messages that share a target and a relation are added up before they meet their weight: two
// products [T, T] x [T, L D] per conversation, then one product per relation that occurs. So the
// memory is B T (T + L (D + H)), without T where the rows of alpha are divided, and the R weights
// [D, H]; neither a matrix per edge (E D H) nor coefficients per basis (K B T^2) are ever made.
torch::Tensor RelationalConvolution(const torch::Tensor& x, const LazyRows& alpha,
                                    const Relations& relations, const torch::Tensor& basis,
                                    const torch::Tensor& coefficients);

// The same without gradient on the CPU, up to rounding, but the bits of y_i depend on nothing
// except the utterances that i has edges from: not on which other relations, speakers and rows
// there are. It is slower, row by row: for models whose utterances must not know later ones.
torch::Tensor RelationalConvolutionByRows(const torch::Tensor& x, const LazyRows& alpha,
                                          const Relations& relations, const torch::Tensor& basis,
                                          const torch::Tensor& coefficients);

// [B, T, H]: y_i = sum over edges (i, j) of x_j. x [B, T, H].
torch::Tensor GatherByEdges(const torch::Tensor& x, const LazyRows& edges);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_DIALOGUE_GCN_RELATIONAL_GRAPH_H_
