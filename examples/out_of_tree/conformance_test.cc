// Adds to what the suites of cmerc find out by themselves.
#include "tests/conformance/backbone_suite.h"
#include "tests/conformance/plugin_cases.h"

namespace example {
namespace {

// Beside the default options, which are always tested.
const cmerc::conformance::ExtraCase kHalf("example.ConfidencePenaltyOptions", "entropy_share: 0.5");

// No path leads from one utterance to another unless Batch.context says so.
const cmerc::conformance::DeclareContextUse kExact("example.ContextMeanOptions", "",
                                                   cmerc::conformance::ContextUse::kExact);

}  // namespace
}  // namespace example
