// The views that a loss's options name.
#ifndef CMERC_LOSSES_NAMED_VIEWS_H_
#define CMERC_LOSSES_NAMED_VIEWS_H_

#include <google/protobuf/repeated_field.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/dataset.h"
#include "core/view.h"

namespace cmerc {

// Returns the views of `info` with these names, in the order of the names; all of them for no
// names. InvalidArgument, with `options_name` in front: a name is none of a view, or is there
// twice.
absl::StatusOr<std::vector<View>> NamedViews(
    const std::string& options_name, const google::protobuf::RepeatedPtrField<std::string>& names,
    const DatasetInfo& info);

}  // namespace cmerc

#endif  // CMERC_LOSSES_NAMED_VIEWS_H_
