// More options of the project's own backbones, for every test that runs over CasesOf(Backbones()).
#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {
namespace {

const ExtraCase kExtraCases[] = {
    {"cmerc.DialogueGcnOptions", "encoder: GRU"},
    {"cmerc.DialogueGcnOptions", "nodal_attention: true"},
    {"cmerc.DialogueGcnOptions", "encoder: NO_ENCODER"},
    {"cmerc.DialogueGcnOptions", "semantics: OFFICIAL max_length: 500"},
    {"cmerc.DialogueRnnOptions", "context_attention: SIMPLE listener_state: true"},
    {"cmerc.DialogueRnnOptions", "context_attention: GENERAL2 final_attention: false"},
    {"cmerc.GruOptions", "cell: LSTM"},
    {"cmerc.GruOptions", "attention: false"},
    {"cmerc.GruOptions", "semantics: OFFICIAL residual: false"},
    {"cmerc.M3NetOptions", "semantics: OFFICIAL"},
    // Nothing but the high-frequency graph mixes utterances.
    {"cmerc.M3NetOptions", "norm: LN text_encoder: NO_ENCODER hypergraph_layers: 0"},
    {"cmerc.MmgcnOptions", "encoder: NO_ENCODER"},
    {"cmerc.MmgcnOptions",
     "encoder: GRU encode_other_modalities: true use_modality_embedding: true graph_layers: 16 "
     "variant: false use_residue: false"},
    {"cmerc.MmgcnOptions", "semantics: OFFICIAL"},
    {"cmerc.TransformerOptions",
     "num_layers: 1 num_heads: 1 activation: RELU positions: false speaker_embedding: false"},
};

}  // namespace
}  // namespace cmerc::conformance
