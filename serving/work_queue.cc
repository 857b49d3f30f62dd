#include "serving/work_queue.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace cmerc::serving {

void Job::Finish(absl::Status status) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (is_done_) return;
    is_done_ = true;
    status_ = std::move(status);
  }
  done_.notify_all();
}

absl::Status Job::Wait(Deadline deadline) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (done_.wait_until(lock, deadline, [this] { return is_done_; })) return status_;
  is_given_up_ = true;
  return absl::DeadlineExceededError(
      "there was no answer in time: the server has too much to do, or the request asks for too "
      "much; send less at once, or raise --timeout_s");
}

bool Job::IsWanted() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return !is_given_up_;
}

WorkQueue::WorkQueue(const WorkQueueOptions& options, std::function<void(int worker)> begin,
                     Run run)
    : options_(options) {
  for (int worker = 0; worker < options.workers; ++worker) {
    workers_.emplace_back([this, worker, begin, run] { Work(worker, begin, run); });
  }
}

WorkQueue::~WorkQueue() { Drain(); }

absl::Status WorkQueue::Submit(std::shared_ptr<Job> job) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (is_draining_) return absl::UnavailableError("the server is about to stop");
    if (waiting_.size() >= options_.max_waiting) {
      return absl::ResourceExhaustedError(absl::StrCat(
          options_.max_waiting, " requests are waiting already (--max_queue); try again later"));
    }
    waiting_.push_back({std::move(job), std::chrono::steady_clock::now()});
  }
  // All: one that waits for more of its group may not be able to take this one.
  came_.notify_all();
  return absl::OkStatus();
}

void WorkQueue::Drain() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_draining_ = true;
  }
  came_.notify_all();
  for (std::thread& worker : workers_) {
    if (worker.joinable()) worker.join();
  }
}

size_t WorkQueue::waiting() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return waiting_.size();
}

void WorkQueue::TakeMates(const void* group, size_t* room,
                          std::vector<std::shared_ptr<Job>>* batch) {
  for (auto next = waiting_.begin(); next != waiting_.end() && *room > 0;) {
    if (next->job->group() != group || next->job->weight() > *room) {
      ++next;
      continue;
    }
    *room -= next->job->weight();
    batch->push_back(std::move(next->job));
    next = waiting_.erase(next);
  }
}

std::vector<std::shared_ptr<Job>> WorkQueue::TakeBatch(std::unique_lock<std::mutex>& lock) {
  std::vector<std::shared_ptr<Job>> batch;
  const Deadline until = waiting_.front().came + options_.max_delay;
  batch.push_back(std::move(waiting_.front().job));
  waiting_.pop_front();
  const void* group = batch[0]->group();
  if (group == nullptr || batch[0]->weight() >= options_.max_batch) return batch;
  size_t room = options_.max_batch - batch[0]->weight();
  TakeMates(group, &room, &batch);
  while (room > 0 && !is_draining_ && std::chrono::steady_clock::now() < until) {
    came_.wait_until(lock, until);
    TakeMates(group, &room, &batch);
  }
  return batch;
}

void WorkQueue::Work(int worker, const std::function<void(int)>& begin, const Run& run) {
  begin(worker);
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    came_.wait(lock, [this] { return is_draining_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    std::vector<std::shared_ptr<Job>> batch = TakeBatch(lock);
    lock.unlock();
    std::vector<std::shared_ptr<Job>> wanted;
    for (std::shared_ptr<Job>& job : batch) {
      if (job->IsWanted()) wanted.push_back(std::move(job));
    }
    if (!wanted.empty()) run(worker, wanted);
    lock.lock();
  }
}

}  // namespace cmerc::serving
