// The threads of the HTTP server: one for each connection, of which there may be only so many.
#ifndef CMERC_SERVING_CONNECTIONS_H_
#define CMERC_SERVING_CONNECTIONS_H_

#include <httplib.h>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace cmerc::serving {

class Connections final : public httplib::TaskQueue {
 public:
  // What httplib wants to hear of a connection: nothing, or in later versions true.
  using Accepted = decltype(std::declval<httplib::TaskQueue&>().enqueue({}));

  // A connection beyond the first `most` is served by one of a few more threads, for which
  // IsTooMany() is true, so that it can be told so.
  explicit Connections(size_t most);

  Accepted enqueue(std::function<void()> serve) override;
  void shutdown() override;

  // Whether the connection that this thread serves is one too many.
  static bool IsTooMany();

 private:
  void Work(std::deque<std::function<void()>>& connections, bool are_too_many);

  const size_t most_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::deque<std::function<void()>> connections_, too_many_;
  size_t open_ = 0;  // that are served or in connections_
  bool is_shut_down_ = false;
  std::vector<std::thread> threads_;
  size_t num_workers_ = 0;  // of threads_, those that serve connections_
};

}  // namespace cmerc::serving

#endif  // CMERC_SERVING_CONNECTIONS_H_
