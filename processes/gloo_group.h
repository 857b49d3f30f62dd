// Processes that give each other tensors by Gloo, through LibTorch.
#ifndef CMERC_PROCESSES_GLOO_GROUP_H_
#define CMERC_PROCESSES_GLOO_GROUP_H_

#include <memory>

#include "absl/status/statusor.h"
#include "processes/lifelines.h"
#include "processes/meeting.h"
#include "processes/process_group.h"

namespace cmerc {

// The group of process `rank` and those it has met and is connected with. Unavailable: one of them
// is gone. FailedPrecondition: this program was built without Gloo.
absl::StatusOr<std::unique_ptr<ProcessGroup>> MakeGlooGroup(int rank, const Meeting& meeting,
                                                            std::unique_ptr<Lifelines> lifelines);

}  // namespace cmerc

#endif  // CMERC_PROCESSES_GLOO_GROUP_H_
