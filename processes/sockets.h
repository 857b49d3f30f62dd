// What is needed of TCP to watch over processes.
#ifndef CMERC_PROCESSES_SOCKETS_H_
#define CMERC_PROCESSES_SOCKETS_H_

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cmerc {

using Deadline = std::chrono::steady_clock::time_point;

// An open socket, or none.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int file) : file_(file) {}
  Socket(Socket&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  ~Socket();

  int file() const { return file_; }  // -1: none

 private:
  int file_ = -1;
};

// The name of this host; "an unknown host" where the system has none.
std::string HostName();

// The addresses of this host as numbers: those that other hosts may reach, then the loopback ones.
// Without link-local IPv6 addresses, which mean nothing without an interface.
std::vector<std::string> HostAddresses();

// The address of this end of a connection, as a number.
std::string LocalAddress(const Socket& socket);

// Listens at all addresses of this host; *port is the port that the system chose. Unavailable: the
// system has none.
absl::StatusOr<Socket> Listen(int* port);

// The next connection that comes before `deadline`. DeadlineExceeded: none came.
absl::StatusOr<Socket> Accept(const Socket& listener, Deadline deadline);

// Connects to a numeric address. Unavailable: nobody answers there before `deadline`.
absl::StatusOr<Socket> ConnectTo(const std::string& address, int port, Deadline deadline);

// Has the system ask the host at the other end of an idle connection whether it is still there: one
// that does not answer for 40 s ends the connection. The system answers for a process that is busy
// or suspended.
void KeepAlive(const Socket& socket);

// Sends or receives exactly `size` bytes before `deadline`. Unavailable: the other end is gone, or
// too slow.
absl::Status SendAll(const Socket& socket, const void* data, size_t size, Deadline deadline);
absl::Status ReceiveAll(const Socket& socket, void* data, size_t size, Deadline deadline);

}  // namespace cmerc

#endif  // CMERC_PROCESSES_SOCKETS_H_
