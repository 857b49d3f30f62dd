#include "serving/connections.h"

#include <utility>

namespace cmerc::serving {
namespace {

// One that says nothing is waited for by its thread, for as long as the server waits for a request.
constexpr int kThreadsForTooMany = 4;

thread_local bool is_too_many = false;

}  // namespace

Connections::Connections(size_t most) : most_(most) {
  for (int i = 0; i < kThreadsForTooMany; ++i) {
    threads_.emplace_back([this] { Work(too_many_, true); });
  }
}

Connections::Accepted Connections::enqueue(std::function<void()> serve) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (open_ >= most_) {
      too_many_.push_back(std::move(serve));
    } else {
      connections_.push_back(std::move(serve));
      // As many threads as there have been connections at the same time.
      if (++open_ > num_workers_) {
        ++num_workers_;
        threads_.emplace_back([this] { Work(connections_, false); });
      }
    }
  }
  came_.notify_all();
  return Accepted(true);
}

void Connections::shutdown() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_shut_down_ = true;
  }
  came_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool Connections::IsTooMany() { return is_too_many; }

void Connections::Work(std::deque<std::function<void()>>& connections, bool are_too_many) {
  is_too_many = are_too_many;
  std::unique_lock<std::mutex> lock(mutex_);
  while (true) {
    came_.wait(lock, [&] { return is_shut_down_ || !connections.empty(); });
    if (connections.empty()) return;
    const std::function<void()> serve = std::move(connections.front());
    connections.pop_front();
    lock.unlock();
    serve();
    lock.lock();
    if (!are_too_many) --open_;
  }
}

}  // namespace cmerc::serving
