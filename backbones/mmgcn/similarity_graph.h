// MMGCN's graph, dense per conversation (Hu et al., ACL 2021, section 3.3; official model_mm.py,
// class MM_GCN, create_big_adj).
//
// One node per utterance and modality. Within a modality, an utterance is joined to the utterances
// of its context and to itself; across modalities, to itself. The weight of an edge is the angular
// similarity of its ends' vectors,
//
//   s(x, y) = 1 - acos(0.99999 cos(x, y)) / pi     in (0, 1),
//
// where a vector shorter than 1e-12 has a cosine of 0 with all others, and any vector one of 1 with
// itself. A is normalized to D^(-1/2) A D^(-1/2), D the sums of its rows. Letters: core/batch.h; D
// and H are the widths of the vectors and of what is propagated.
#ifndef CMERC_BACKBONES_MMGCN_SIMILARITY_GRAPH_H_
#define CMERC_BACKBONES_MMGCN_SIMILARITY_GRAPH_H_

#include <vector>

#include "backbones/layers/packing.h"
#include "backbones/layers/row_blocks.h"
#include "torch/types.h"

namespace cmerc {

// What the graph takes from a modality, whatever the context. Similarities are computed in float64:
// the arc cosine magnifies what rounding does to nearly parallel vectors by up to 220, and all
// vectors of a masked modality are parallel.
struct ModalitySimilarities {
  torch::Tensor directions;  // [N, D] float64: x / |x|, or 0
  torch::Tensor within;  // [B, T, T]: s of the utterances of a conversation, anything on padding
};

// x [N, D]: the vectors of a modality's nodes.
ModalitySimilarities MakeSimilarities(const torch::Tensor& x, const Packing& packing);

// What all layers share: the normalized A. Its blocks across modalities are diagonal.
struct SimilarityGraph {
  Packing nodes;         // of M * B conversations: every conversation in each modality
  LazyRows within;       // [M * B, T, T]: from column to row; 0 where there is no edge
  torch::Tensor across;  // [N, M, M]: the same, for the modalities of an utterance
};

// One for each of M >= 1 modalities; context [B, T, T] bool, true at (b, i, i) of real utterances
// and false on padding. Degrees are those of the edges that context leaves.
SimilarityGraph MakeSimilarityGraph(const std::vector<ModalitySimilarities>& modalities,
                                    const torch::Tensor& context, const Packing& packing);

// The normalized A times h [M, N, H] -> [M, N, H].
torch::Tensor Propagate(const torch::Tensor& h, const SimilarityGraph& graph);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_MMGCN_SIMILARITY_GRAPH_H_
