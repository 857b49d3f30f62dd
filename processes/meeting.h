// Where the processes of a launch find each other: a store of LibTorch that all of them reach.
#ifndef CMERC_PROCESSES_MEETING_H_
#define CMERC_PROCESSES_MEETING_H_

#include <cstdint>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "absl/status/statusor.h"
#include "processes/lifelines.h"
#include "processes/sockets.h"
#include "processes/who_am_i.h"

namespace cmerc {

// The file in `folder` that says where rank 0 is, while the processes of a launch without an
// address come together. It is no store itself: files of network file systems are seen late and
// have locks that hold on some alone. One that a killed launch left leads to nobody, or to somebody
// else, who does not know its number, and is written over by the next.
std::string MeetingFile(const std::string& folder);

// The processes that have met.
struct Meeting {
  c10::intrusive_ptr<c10d::Store> store;
  std::vector<Member> members;  // in the order of ranks
  uint64_t launch = 0;          // a number that only they know
};

// Meets the other processes of `identity`; `self` is what they are told of this one. Errors are
// those of Join().
absl::StatusOr<Meeting> Meet(const ProcessIdentity& identity, const Member& self,
                             const std::string& folder, Deadline deadline);

}  // namespace cmerc

#endif  // CMERC_PROCESSES_MEETING_H_
