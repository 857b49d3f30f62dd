// Checks a parsed config against the ranges in its schemas and the kinds of plugins it needs.
#ifndef CMERC_CONFIG_VALIDATOR_H_
#define CMERC_CONFIG_VALIDATOR_H_

#include <set>
#include <string>

#include "config/run.pb.h"
#include "core/problems.h"

namespace cmerc::config {

// Appends everything that is wrong to `problems`, as "PATH = VALUE, must be ..." or "PATH: ...":
// values outside (cmerc.range), NaN and infinities, missing parts, plugins of the wrong kind.
// Passes over plugins of the types `unknown_plugins`, which ParseText() has reported.
void Validate(const RunConfig& config, const std::set<std::string>& unknown_plugins,
              Problems* problems);

}  // namespace cmerc::config

#endif  // CMERC_CONFIG_VALIDATOR_H_
