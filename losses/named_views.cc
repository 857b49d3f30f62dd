#include "losses/named_views.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace cmerc {

absl::StatusOr<std::vector<View>> NamedViews(
    const std::string& options_name, const google::protobuf::RepeatedPtrField<std::string>& names,
    const DatasetInfo& info) {
  std::vector<View> all = AllViews(info);
  if (names.empty()) return all;
  std::vector<View> views;
  for (const std::string& name : names) {
    const auto named = [&](const View& view) { return view.name() == name; };
    const auto found = std::find_if(all.begin(), all.end(), named);
    if (found == all.end()) {
      const auto append_name = [](std::string* out, const View& view) { *out += view.name(); };
      return absl::InvalidArgumentError(absl::StrCat(options_name, ": views has \"", name,
                                                     "\", must be among ",
                                                     absl::StrJoin(all, ", ", append_name)));
    }
    if (std::any_of(views.begin(), views.end(), named)) {
      return absl::InvalidArgumentError(
          absl::StrCat(options_name, ": views has \"", name, "\" twice, must have it once"));
    }
    views.push_back(*found);
  }
  return views;
}

}  // namespace cmerc
