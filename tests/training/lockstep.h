// Processes that train one model together, as threads of a test.
#ifndef CMERC_TESTS_TRAINING_LOCKSTEP_H_
#define CMERC_TESTS_TRAINING_LOCKSTEP_H_

#include <functional>

#include "processes/process_group.h"

namespace cmerc {

// Calls `process` once for each of so many ranks, with a group of them all, and waits for the ends.
// The ranks are threads, of which one runs at a time, from one call of the group to the next; each
// has LibTorch's default generator for itself, as it was at first. After the end of a rank, calls
// of the others return Unavailable.
void RunInLockstep(int size, const std::function<void(ProcessGroup&)>& process);

}  // namespace cmerc

#endif  // CMERC_TESTS_TRAINING_LOCKSTEP_H_
