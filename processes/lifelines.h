// How processes know of each other's end: a connection between any two, over which nothing is said
// but that one leaves. The system closes those of a process that dies, and finds out about a host
// that does not answer. Neither Gloo nor LibTorch's stores can tell a process that is gone from one
// that is slow, or which it is.
#ifndef CMERC_PROCESSES_LIFELINES_H_
#define CMERC_PROCESSES_LIFELINES_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "processes/sockets.h"

namespace cmerc {

// A process of a launch.
struct Member {
  std::string host;
  int64_t process = 0;                 // its number on the host
  int port = 0;                        // where it listens ...
  std::vector<std::string> addresses;  // ... and the addresses of its host
};

class Lifelines {
 public:
  // Connects process `rank` with all others: `members` are in the order of ranks, `listener`
  // listens at the port of this one, and `launch` is a number that only the processes of one launch
  // know. Unavailable: one cannot be reached before `deadline`, or none of its addresses is its
  // own.
  static absl::StatusOr<std::unique_ptr<Lifelines>> Connect(int rank, std::vector<Member> members,
                                                            const Socket& listener, uint64_t launch,
                                                            Deadline deadline);

  // The address of this host that the other hosts reach.
  const std::string& address() const { return address_; }

  // "rank 2 of 4 (host n3, process 71)".
  std::string Name(int rank) const;

  // Waits until `done` can be read: what these processes do together for the `call`-th time,
  // counted from 1, has ended here; `what` is for the message. Unavailable: a process is gone, or
  // has left before that, which the others are told.
  absl::Status WaitFor(int done, int64_t call, absl::string_view what);

  // Why the `call`-th time has failed here. Waits for that a while: what breaks is often heard of
  // before who broke it.
  absl::Status WhyFailed(int64_t call, absl::string_view what, const std::string& error);

  // Tells the others that this process has done all that it will, `calls` times, and waits a little
  // for them to say so too, so that nothing which is under way to them is lost.
  void Leave(int64_t calls);

 private:
  // What is known of another process.
  struct Line {
    Socket socket;
    std::string received;          // of a message that has not come in full
    bool open = false;             // not for this process itself
    std::optional<int64_t> calls;  // it has left after so many
    std::optional<int> blames;     // it ends because of this one, ...
    bool blamed_left = false;      // ... which has left early
    bool gone() const { return !open && !calls.has_value() && !blames.has_value(); }
  };

  Lifelines(int rank, std::vector<Member> members);

  // Connects with `other`, which has come before, or says why not.
  absl::StatusOr<Socket> Reach(int other, uint64_t launch, Deadline deadline) const;
  // Takes in the connections of those that come later.
  absl::Status Admit(const Socket& listener, uint64_t launch, Deadline deadline);

  // Waits until a process says something or ends, or `done` can be read (-1: nothing can), at most
  // `patience` (negative: without end), and notes it. Returns whether `done` can be read.
  bool Poll(int done, std::chrono::milliseconds patience);
  void Read(Line* line);
  // Whom the `call`-th time fails by, if anybody.
  std::optional<absl::Status> Culprit(int64_t call, absl::string_view what);
  void TellAll(char kind, int64_t value);

  const int rank_;
  const std::vector<Member> members_;
  std::string address_;
  std::vector<Line> lines_;  // in the order of ranks
};

}  // namespace cmerc

#endif  // CMERC_PROCESSES_LIFELINES_H_
