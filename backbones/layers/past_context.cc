#include "backbones/layers/past_context.h"

#include "absl/strings/str_cat.h"

namespace cmerc {

absl::Status CheckOfficialContext(const std::string& type, bool official, const DatasetInfo& info) {
  if (!official || !DrawsOnPastAlone(info)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      type,
      ": semantics = OFFICIAL, must be CORRECTED with data.context: PAST: the official code runs "
      "over whole conversations and their padding; leave it out, or set data { context: "
      "CONVERSATION }"));
}

}  // namespace cmerc
