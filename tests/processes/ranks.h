// Real processes that join one group, for tests.
#ifndef CMERC_TESTS_PROCESSES_RANKS_H_
#define CMERC_TESTS_PROCESSES_RANKS_H_

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "processes/process_group.h"
#include "processes/who_am_i.h"

namespace cmerc {

// What a process does with its group; what it returns is what the test sees of it.
using RankWork = std::function<std::string(ProcessGroup& group)>;

// The processes of a launch. The test itself must not have used LibTorch before: they are forked.
class Ranks {
 public:
  explicit Ranks(std::string folder) : folder_(std::move(folder)) {}
  // Kills those that still run.
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  // Starts a process that joins as `identity`, and then works; the status of Join() takes the place
  // of what it returns where there is no group. `before` comes first of all. Returns the process.
  pid_t Start(const ProcessIdentity& identity, const RankWork& work,
              std::chrono::milliseconds patience = std::chrono::minutes(2),
              const std::function<void()>& before = nullptr);
  // The next thing that the process returned, in the order in which they were started; "killed by
  // N" where signal N ended it.
  std::vector<std::string> Results();

 private:
  struct Child {
    pid_t process;
    int output;
  };
  std::string folder_;
  std::vector<Child> children_;
};

// Rank `rank` of `size`, which meet in the folder.
ProcessIdentity RankOf(int rank, int size);

// What `size` processes return that all do the same.
std::vector<std::string> RunRanks(int size, const RankWork& work);

}  // namespace cmerc

#endif  // CMERC_TESTS_PROCESSES_RANKS_H_
