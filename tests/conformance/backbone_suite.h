// What the backbone suite cannot see from outside a plugin, and so is told.
#ifndef CMERC_TESTS_CONFORMANCE_BACKBONE_SUITE_H_
#define CMERC_TESTS_CONFORMANCE_BACKBONE_SUITE_H_

#include <string>

#include "tests/conformance/plugin_cases.h"

namespace cmerc::conformance {

// How far a backbone obeys Batch.context.
enum class ContextUse {
  kIgnored,  // predictions are the same bits whatever the context
  kPartial,  // context restricts some paths; others (a recurrent encoder, say) still see all
  kExact,    // no path leads from j to i unless context does, over however many steps
};

// Declares it for a case, when constructed at namespace scope of a test that links the suite; what
// is not declared is kPartial. The options are those of the case, letter for letter:
//
//   const DeclareContextUse kExact("my.NetOptions", "", ContextUse::kExact);
class DeclareContextUse {
 public:
  DeclareContextUse(const std::string& type, const std::string& options, ContextUse use);
};

ContextUse ContextUseOf(const PluginCase& plugin);

}  // namespace cmerc::conformance

#endif  // CMERC_TESTS_CONFORMANCE_BACKBONE_SUITE_H_
