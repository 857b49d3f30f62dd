// Checks a parsed config against the ranges in its schemas and the kinds of plugins it needs.
#ifndef CMERC_CONFIG_VALIDATOR_H_
#define CMERC_CONFIG_VALIDATOR_H_

#include <string>

#include "config/run.pb.h"
#include "config/text_parser.h"
#include "registry/range.pb.h"

namespace cmerc {

// Appends everything that is wrong to `problems`, as "PATH = VALUE, must be ..." or "PATH: ...":
// values outside (cmerc.range), NaN and infinities, missing parts, plugins of the wrong kind.
void Validate(const RunConfig& config, Problems* problems);

// ">= 1", "in [0, 1)", ...; "" for a range that allows everything.
std::string RangeText(const Range& range);

}  // namespace cmerc

#endif  // CMERC_CONFIG_VALIDATOR_H_
