// The backbone suite over the project's own plugins, with more of their options.
#include <gtest/gtest.h>

#include "core/backbone.h"
#include "tests/conformance/backbone_suite.h"

namespace cmerc::conformance {
namespace {

const ExtraCase kExtraCases[] = {
    {"cmerc.DialogueGcnOptions", "encoder: GRU nodal_attention: false"},
    {"cmerc.DialogueGcnOptions", "encoder: NO_ENCODER"},
    {"cmerc.DialogueGcnOptions", "semantics: OFFICIAL max_length: 500"},
    {"cmerc.GruOptions", "cell: LSTM"},
    {"cmerc.GruOptions", "attention: false"},
    {"cmerc.GruOptions", "semantics: OFFICIAL residual: false"},
    {"cmerc.M3NetOptions", "semantics: OFFICIAL"},
    // Nothing but the high-frequency graph mixes utterances.
    {"cmerc.M3NetOptions", "norm: LN text_encoder: NO_ENCODER hypergraph_layers: 0"},
};

const DeclareContextUse kContextUses[] = {
    {"cmerc.DialogueGcnOptions", "encoder: NO_ENCODER", ContextUse::kExact},
    {"cmerc.GruOptions", "attention: false", ContextUse::kIgnored},
    {"cmerc.M3NetOptions", "norm: LN text_encoder: NO_ENCODER hypergraph_layers: 0",
     ContextUse::kExact},
};

TEST(BackboneLinkageTest, TheBundleLinksThesePlugins) {
  std::vector<std::string> types;
  for (const auto& [type, plugin] : Backbones().plugins()) types.push_back(type);
  EXPECT_EQ(types, (std::vector<std::string>{"cmerc.DialogueGcnOptions", "cmerc.GruOptions",
                                             "cmerc.M3NetOptions"}));
}

}  // namespace
}  // namespace cmerc::conformance
