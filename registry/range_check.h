// Checks options against the ranges in their .proto files.
#ifndef CMERC_REGISTRY_RANGE_CHECK_H_
#define CMERC_REGISTRY_RANGE_CHECK_H_

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "registry/range.pb.h"

namespace cmerc {

// NaN is in no range that allows less than everything.
bool InRange(double value, const Range& range);

// ">= 1", "in [0, 1)", ...; "" for a range that allows everything.
std::string RangeText(const Range& range);

// Walks over every field of `message` that is set, and over the messages in it, in the order of
// their numbers. Calls `report` with "PATH = VALUE, must be ..." for each number that is outside
// its (cmerc.range), NaN or infinite, and with "PATH is missing" for each required field that is
// not set. PATH starts with `path`: "head.layers" for the path "head", "layers" for "". Looks into
// no google.protobuf.Any, but calls `visit_any` with it, the field that holds it and its path.
void CheckRanges(
    const google::protobuf::Message& message, const std::string& path,
    absl::FunctionRef<void(std::string)> report,
    absl::FunctionRef<void(const google::protobuf::Any&, const google::protobuf::FieldDescriptor&,
                           const std::string& path)>
        visit_any);

// Checks the options of one plugin; those of a plugin within are checked when that is made.
// InvalidArgument: "cmerc.GruOptions: dropout = 1, must be in [0, 1)", with "; " between problems.
absl::Status CheckRanges(const google::protobuf::Message& options);

}  // namespace cmerc

#endif  // CMERC_REGISTRY_RANGE_CHECK_H_
