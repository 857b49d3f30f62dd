// What the official code makes and never trains. With semantics: OFFICIAL it is in M3Net, too: as
// buffers, which checkpoints hold and optimizers do not see, and made where the official code makes
// it, since that draws random numbers.
#ifndef CMERC_BACKBONES_M3NET_OFFICIAL_LEFTOVERS_H_
#define CMERC_BACKBONES_M3NET_OFFICIAL_LEFTOVERS_H_

#include <torch/nn/module.h>

#include <cstdint>
#include <string>

#include "backbones/layers/sequence_encoder.h"
#include "backbones/m3net/m3net.pb.h"

namespace cmerc {

// Registers in `parent`, as `name`, what module `unused` holds: the same tensors under the same
// names, all of them buffers.
void RegisterAsBuffers(const std::string& name, const torch::nn::Module& unused,
                       torch::nn::Module& parent);

// The weights of a layer of the hypergraph, of which only the bias is used.
void AddUntrainedWeights(int64_t width, torch::nn::Module& convolution);

// Two vectors that the official code draws for its hyperedges.
void AddHyperedgeAttributes(int64_t width, torch::nn::Module& graph_model);

// The normalizations of four streams, 1024 wide, that `norm` does not ask for.
void AddUnusedNorms(M3NetOptions::Norm norm, torch::nn::Module& parent);

// The encoder of a modality that is not encoded: the official code makes it if it is a transformer.
void AddUnusedEncoder(SequenceEncoder::Kind kind, const std::string& suffix,
                      const M3NetOptions& options, torch::nn::Module& parent);

}  // namespace cmerc

#endif  // CMERC_BACKBONES_M3NET_OFFICIAL_LEFTOVERS_H_
