// Brings the processes of a launch together.
#ifndef CMERC_PROCESSES_JOIN_H_
#define CMERC_PROCESSES_JOIN_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "processes/process_group.h"
#include "processes/who_am_i.h"

namespace cmerc {

// The group that `identity` is in, once all its processes have come; they meet at identity.address
// or, where there is none, by a file in `folder`, which exists and which all of them see. One
// process alone uses neither. Unavailable: not all have come within `patience` (who is missing),
// one that had come is gone, or the address cannot be used. FailedPrecondition: this program was
// built without Gloo, or the processes that meet are not of one launch.
absl::StatusOr<std::unique_ptr<ProcessGroup>> Join(
    const ProcessIdentity& identity, const std::string& folder,
    std::chrono::milliseconds patience = std::chrono::minutes(5));

}  // namespace cmerc

#endif  // CMERC_PROCESSES_JOIN_H_
