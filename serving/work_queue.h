// Requests that wait for a worker: a queue of bounded length, and threads that empty it.
#ifndef CMERC_SERVING_WORK_QUEUE_H_
#define CMERC_SERVING_WORK_QUEUE_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace cmerc::serving {

using Deadline = std::chrono::steady_clock::time_point;

class Job {
 public:
  virtual ~Job() = default;

  // Jobs of the same group may be run together; null: by itself.
  virtual const void* group() const { return nullptr; }
  // How many of the places of a batch it takes, at least 1.
  virtual size_t weight() const { return 1; }

  // Does this job, or gives it up: `why` says that it waited for too long. Calls come from a
  // worker, or from Submit()'s caller that gave it up.
  void Finish(absl::Status status);
  // Waits until it is done or `deadline` has passed. DeadlineExceeded: it has, and nobody will
  // begin the job any more, though it may be about to end.
  absl::Status Wait(Deadline deadline);
  // For the worker: whether it is still wanted.
  bool IsWanted() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable done_;
  bool is_done_ = false;
  bool is_given_up_ = false;
  absl::Status status_;
};

struct WorkQueueOptions {
  int workers = 1;
  size_t max_waiting = 256;                // jobs that no worker has taken
  size_t max_batch = 1;                    // how much weight is run together
  std::chrono::microseconds max_delay{0};  // how long a batch that is not full is waited for
};

class WorkQueue {
 public:
  // Runs jobs that are all of one group, or one job; must Finish() each.
  using Run = std::function<void(int worker, absl::Span<const std::shared_ptr<Job>> jobs)>;

  // `begin` is called by every worker first.
  WorkQueue(const WorkQueueOptions& options, std::function<void(int worker)> begin, Run run);
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;
  ~WorkQueue();

  // ResourceExhausted: too many are waiting. Unavailable: Drain() has been called.
  absl::Status Submit(std::shared_ptr<Job> job);
  // Takes no more jobs, does those that it has, and ends the workers.
  void Drain();

  size_t waiting() const;

 private:
  struct Waiting {
    std::shared_ptr<Job> job;
    Deadline came;
  };

  void Work(int worker, const std::function<void(int)>& begin, const Run& run);
  // Takes the first job that waits and those that can be run with it. The lock is held.
  std::vector<std::shared_ptr<Job>> TakeBatch(std::unique_lock<std::mutex>& lock);
  void TakeMates(const void* group, size_t* room, std::vector<std::shared_ptr<Job>>* batch);

  const WorkQueueOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable came_;
  std::deque<Waiting> waiting_;
  bool is_draining_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_WORK_QUEUE_H_
