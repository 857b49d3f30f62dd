// What the processes that train one model together must agree on.
#ifndef CMERC_TRAINING_AGREEMENT_H_
#define CMERC_TRAINING_AGREEMENT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "processes/process_group.h"

namespace cmerc {

// What a process is to have alike, each with its name; a value may have several lines.
using Facts = std::vector<std::pair<std::string, std::string>>;

// FailedPrecondition, in all processes: `facts` are not the same in all of them. The message has
// the first rank that differs from rank 0, and the first line in which it does, with its name.
// Unavailable: a process is gone. OK where `processes` is null.
absl::Status CheckAlike(ProcessGroup* processes, const Facts& facts);

// What rank 0 gives; `mine` where `processes` is null. Unavailable: a process is gone.
absl::StatusOr<double> FromRank0(ProcessGroup* processes, double mine, const std::string& what);

}  // namespace cmerc

#endif  // CMERC_TRAINING_AGREEMENT_H_
