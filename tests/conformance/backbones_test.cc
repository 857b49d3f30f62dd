// The backbone suite over the project's own plugins (our_backbones.cc has more of their options).
#include <gtest/gtest.h>

#include "core/backbone.h"
#include "tests/conformance/backbone_suite.h"

namespace cmerc::conformance {
namespace {

const DeclareContextUse kContextUses[] = {
    {"cmerc.DialogueGcnOptions", "encoder: NO_ENCODER", ContextUse::kExact},
    {"cmerc.EvidentialOptions", "", ContextUse::kExact},
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
                                             "cmerc.EvidentialOptions", "cmerc.GruOptions",
                                             "cmerc.M3NetOptions", "cmerc.MmgcnOptions",
                                             "cmerc.TransformerOptions"}));
}

}  // namespace
}  // namespace cmerc::conformance
