// The processes that train one model together.
#ifndef CMERC_PROCESSES_PROCESS_GROUP_H_
#define CMERC_PROCESSES_PROCESS_GROUP_H_

#include <torch/types.h>

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

// All processes call the same methods in the same order. A process that is slow, or suspended, is
// waited for, however long it takes; one that is gone is an Unavailable error that names its rank,
// host and process, at the latest after a minute. After an error every call fails in the same way.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;

  virtual int rank() const = 0;  // 0 .. size() - 1
  virtual int size() const = 0;

  // What each process gave, in the order of ranks: on the CPU, of the same type and, but for the
  // first axis, of the same shape everywhere; the first axis may differ, and be 0. `what` is for
  // messages: "outputs of step 12". InvalidArgument, in all processes: the types or shapes do not
  // fit. Unavailable: a process is gone, and which.
  virtual absl::StatusOr<std::vector<torch::Tensor>> AllGather(const torch::Tensor& mine,
                                                               absl::string_view what) = 0;

  // Whether any process says so. Unavailable: a process is gone, and which.
  virtual absl::StatusOr<bool> Any(bool mine, absl::string_view what) = 0;
};

}  // namespace cmerc

#endif  // CMERC_PROCESSES_PROCESS_GROUP_H_
