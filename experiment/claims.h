// Which process does which run of an experiment, where several on any number of hosts share its
// folder and nothing else: `cmerc experiment --worker`.
#ifndef CMERC_EXPERIMENT_CLAIMS_H_
#define CMERC_EXPERIMENT_CLAIMS_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

// A process as its claims name it.
struct ClaimHolder {
  // For people: "n1, process 123".
  std::string name;
  // Tells whether it is alive, on the machine that it runs on: the boot of the machine, the
  // namespace of its process numbers, its number and when it started.
  std::string place;

  // This process.
  static ClaimHolder Self();
};

// A folder is claimed by the file `claim.N` in it, with the holder's name and a number that the
// holder raises every few seconds, its heartbeat. The claim with the largest N counts. A claim is
// taken over by making `claim.N+1`, which the file system lets one process do alone (link(), or
// open() with O_EXCL where there are no hard links): never by removing or replacing another's file.
// Whoever finds a claim above its own has lost it.
//
// A holder is dead where its heartbeat has not CHANGED for so long by the clock of whoever looks:
// clocks of hosts, which differ, are never compared. One that ran on this machine is dead once its
// process is gone.
//
// All methods may be called from any thread.
class Claims {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    ClaimHolder holder = ClaimHolder::Self();
    // Whether this process holds the lock of the experiment, too: then claims of another such
    // process are left over from one that has died.
    bool alone = false;
    // How long a heartbeat may stand still.
    std::chrono::milliseconds patience = std::chrono::seconds(60);
    std::function<Clock::time_point()> now = Clock::now;
  };

  enum class State {
    kMine,    // this process holds the claim
    kTaken,   // another does
    kFailed,  // another has held it since Begin(), and failed
  };
  struct Answer {
    State state;
    std::string text;  // kTaken: the holder's name; kFailed: why
  };

  explicit Claims(Options options);
  // Gives back every claim.
  ~Claims();
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  // Failures in these folders that there are by now are of earlier times, and may be tried again.
  void Begin(const std::vector<std::string>& folders);

  // Raises the heartbeat of every claim in a thread of its own from now on, ten times in the time
  // that others are patient.
  void StartBeating();

  // Raises it once; notices claims that were lost.
  void Beat();

  // Tries to claim `folder`, which exists. Unavailable: the claim cannot be written.
  absl::StatusOr<Answer> Take(const std::string& folder);

  // Whether this process holds the claim at this moment.
  bool Holds(const std::string& folder);

  // The folders whose claims were found to be lost since the last call. Another process works
  // there.
  std::vector<std::string> TakeLost();

  // Gives a claim back: nothing is left of it. One that is lost is left alone.
  void Release(const std::string& folder);
  void ReleaseAll();

  // Gives a claim back and leaves there why this process has failed.
  void Fail(const std::string& folder, absl::string_view why);

 private:
  struct Claim {
    int number;
    int file;       // open for writing
    int64_t beats;  // the heartbeat
  };
  struct Seen {
    int number = 0;
    std::string contents;
    Clock::time_point since;
  };

  // All of these with mutex_ held.
  bool IsLost(const std::string& folder, const Claim& claim) const;
  void Write(const Claim& claim, absl::string_view state) const;
  absl::StatusOr<Answer> Make(const std::string& folder, int number);
  absl::StatusOr<Answer> TakeOver(const std::string& folder, int number,
                                  const std::string& contents);
  bool IsDead(const std::string& folder, int number, const std::string& contents);
  void Drop(std::map<std::string, Claim>::iterator claim);
  void Remove(std::map<std::string, Claim>::iterator claim);

  const Options options_;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  std::map<std::string, Claim> mine_;
  std::map<std::string, Seen> seen_;      // of others
  std::map<std::string, int> of_before_;  // the number that counted at Begin()
  std::vector<std::string> lost_;
  std::thread thread_;
};

// The name of the process whose claim on `folder` counts, dead or alive; "" where there is none.
std::string ClaimantOf(const std::string& folder);

// Removes every claim on a folder that nobody will claim any more, and what killed processes left
// of making one.
void RemoveClaims(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_CLAIMS_H_
