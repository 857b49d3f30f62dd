// The backbone suite over the project's own plugins, with more of their options.
#include <gtest/gtest.h>

#include "core/backbone.h"
#include "tests/conformance/backbone_suite.h"

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

const DeclareContextUse kContextUses[] = {
    {"cmerc.DialogueGcnOptions", "encoder: NO_ENCODER", ContextUse::kExact},
    {"cmerc.GruOptions", "attention: false", ContextUse::kIgnored},
    {"cmerc.M3NetOptions", "norm: LN text_encoder: NO_ENCODER hypergraph_layers: 0",
     ContextUse::kExact},
    {"cmerc.MmgcnOptions", "encoder: NO_ENCODER", ContextUse::kExact},
    {"cmerc.TransformerOptions", "", ContextUse::kExact},
    {"cmerc.TransformerOptions",
     "num_layers: 1 num_heads: 1 activation: RELU positions: false speaker_embedding: false",
     ContextUse::kExact},
};

TEST(BackboneLinkageTest, TheBundleLinksThesePlugins) {
  std::vector<std::string> types;
  for (const auto& [type, plugin] : Backbones().plugins()) types.push_back(type);
  EXPECT_EQ(types, (std::vector<std::string>{"cmerc.DialogueGcnOptions", "cmerc.DialogueRnnOptions",
                                             "cmerc.GruOptions", "cmerc.M3NetOptions",
                                             "cmerc.MmgcnOptions", "cmerc.TransformerOptions"}));
}

}  // namespace
}  // namespace cmerc::conformance
