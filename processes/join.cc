#include "processes/join.h"

#include <unistd.h>

#include <utility>

#include "core/status.h"
#include "processes/gloo_group.h"
#include "processes/lifelines.h"
#include "processes/meeting.h"
#include "processes/one_process.h"
#include "processes/sockets.h"

namespace cmerc {

absl::StatusOr<std::unique_ptr<ProcessGroup>> Join(const ProcessIdentity& identity,
                                                   const std::string& folder,
                                                   std::chrono::milliseconds patience) {
  if (identity.size == 1) return std::make_unique<OneProcess>();
  const Deadline deadline = std::chrono::steady_clock::now() + patience;
  Member self;
  self.host = HostName();
  self.process = getpid();
  self.addresses = HostAddresses();
  ASSIGN_OR_RETURN(const Socket listener, Listen(&self.port));
  ASSIGN_OR_RETURN(const Meeting meeting, Meet(identity, self, folder, deadline));
  ASSIGN_OR_RETURN(
      std::unique_ptr<Lifelines> lifelines,
      Lifelines::Connect(identity.rank, meeting.members, listener, meeting.launch, deadline));
  return MakeGlooGroup(identity.rank, meeting, std::move(lifelines));
}

}  // namespace cmerc
