// "did you mean ...?"
#ifndef CMERC_REGISTRY_NEAREST_NAME_H_
#define CMERC_REGISTRY_NEAREST_NAME_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace cmerc {

// The candidate most like `name`, letter case ignored, or "" if none is near enough to be what was
// meant: one edit for names of up to 3 letters, two up to 8, then a third of the length.
std::string NearestName(absl::string_view name, const std::vector<std::string>& candidates);

}  // namespace cmerc

#endif  // CMERC_REGISTRY_NEAREST_NAME_H_
