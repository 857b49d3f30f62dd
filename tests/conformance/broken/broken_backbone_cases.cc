// A case of the backbone suite for every defect.
#include "absl/strings/str_cat.h"
#include "tests/conformance/backbone_suite.h"
#include "tests/conformance/broken/broken_backbone.pb.h"

namespace cmerc::conformance {
namespace {

// The context law of a plugin that says that all of its paths obey context.
const DeclareContextUse kContextUses[] = {
    {"cmerc.BrokenBackboneOptions", "", ContextUse::kExact},
    {"cmerc.BrokenBackboneOptions", "defect: LEAKS_ACROSS_CONTEXT", ContextUse::kExact},
};

const bool kAdded = [] {
  const auto* defects = BrokenBackboneOptions::Defect_descriptor();
  for (int i = 1; i < defects->value_count(); ++i) {
    ExtraCase("cmerc.BrokenBackboneOptions", absl::StrCat("defect: ", defects->value(i)->name()));
  }
  return true;
}();

}  // namespace
}  // namespace cmerc::conformance
