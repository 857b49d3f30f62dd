#include "bin/polled_input.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/string_view.h"

namespace cmerc {
namespace {

constexpr size_t kPiece = 1 << 16;
constexpr size_t kMostLookedAt = 4 << 20;
constexpr int kMilliseconds = 100;  // between two looks at whether to stop

}  // namespace

bool PolledInput::Wait() const {
  if (should_stop_ == nullptr) return true;
  pollfd there{descriptor_, POLLIN, 0};
  while (!should_stop_()) {
    // A signal that comes before the call would not end it.
    if (poll(&there, 1, kMilliseconds) > 0) return true;
  }
  return false;
}

bool PolledInput::ReadMore() {
  if (ended_) return false;
  if (!Wait()) {
    ended_ = true;
    return false;
  }
  // What has been read goes, so that the buffer holds little more than a line.
  const auto taken = static_cast<size_t>(gptr() - eback());
  buffer_.erase(0, taken);
  const size_t size = buffer_.size();
  buffer_.resize(size + kPiece);
  ssize_t count;
  do {
    count = read(descriptor_, &buffer_[size], kPiece);
  } while (count < 0 && errno == EINTR);
  if (count < 0) error_ = errno;
  ended_ = count <= 0;
  buffer_.resize(size + static_cast<size_t>(count > 0 ? count : 0));
  setg(&buffer_[0], &buffer_[0], &buffer_[0] + buffer_.size());
  return !ended_;
}

PolledInput::int_type PolledInput::underflow() {
  if (gptr() == egptr() && !ReadMore()) return traits_type::eof();
  return traits_type::to_int_type(*gptr());
}

bool PolledInput::HasLine() {
  while (true) {
    const absl::string_view waiting(gptr(), static_cast<size_t>(egptr() - gptr()));
    const size_t begin = waiting.find_first_not_of(" \t\r\n");
    if (begin != absl::string_view::npos && waiting.find('\n', begin) != absl::string_view::npos) {
      return true;
    }
    if (ended_) return true;
    if (waiting.size() > kMostLookedAt) return false;
    pollfd there{descriptor_, POLLIN, 0};
    if (poll(&there, 1, /*timeout=*/0) <= 0) return false;
    ReadMore();
  }
}

std::string PolledInput::Head() {
  if (gptr() == egptr()) ReadMore();
  return std::string(gptr(), egptr());
}

}  // namespace cmerc
