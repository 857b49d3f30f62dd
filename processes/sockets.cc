#include "processes/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "core/status.h"

namespace cmerc {
namespace {

absl::Status SystemError(const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

// Waits until `file` is ready for `events`, or has an error to tell. DeadlineExceeded: it is not
// before `deadline`.
absl::Status WaitFor(int file, short events, Deadline deadline) {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd entry = {file, events, 0};
    const int ready = poll(&entry, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready > 0) return absl::OkStatus();
    if (ready == 0) return absl::DeadlineExceededError("nothing came in time");
    if (errno != EINTR) return SystemError("poll");
  }
}

// "" where the address is of another family than IP.
std::string Numeric(const sockaddr* address) {
  const socklen_t size = address->sa_family == AF_INET    ? sizeof(sockaddr_in)
                         : address->sa_family == AF_INET6 ? sizeof(sockaddr_in6)
                                                          : 0;
  char text[NI_MAXHOST];
  if (size == 0 ||
      getnameinfo(address, size, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) != 0) {
    return "";
  }
  // What a socket for both versions says of one of version 4.
  return std::string(absl::StripPrefix(text, "::ffff:"));
}

// A socket that listens at all addresses of one family, or none.
Socket ListenAt(int family) {
  Socket socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.file() < 0) return socket;
  sockaddr_storage any{};
  any.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET6) {
    const int both = 0;
    setsockopt(socket.file(), IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof(both));
  }
  const socklen_t size = family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (bind(socket.file(), reinterpret_cast<const sockaddr*>(&any), size) != 0 ||
      listen(socket.file(), SOMAXCONN) != 0) {
    return Socket();
  }
  return socket;
}

}  // namespace

Socket::~Socket() {
  if (file_ >= 0) close(file_);
}

std::string HostName() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0 || *name == '\0') return "an unknown host";
  return name;
}

std::vector<std::string> HostAddresses() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return {"127.0.0.1"};
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(first, freeifaddrs);
  std::vector<std::string> outer, inner;
  for (const ifaddrs* entry = first; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
    if (entry->ifa_addr->sa_family == AF_INET6 &&
        IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr)) {
      continue;
    }
    const std::string address = Numeric(entry->ifa_addr);
    if (address.empty()) continue;
    ((entry->ifa_flags & IFF_LOOPBACK) != 0 ? inner : outer).push_back(address);
  }
  outer.insert(outer.end(), inner.begin(), inner.end());
  return outer;
}

std::string LocalAddress(const Socket& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (getsockname(socket.file(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return Numeric(reinterpret_cast<const sockaddr*>(&address));
}

absl::StatusOr<Socket> Listen(int* port) {
  Socket socket = ListenAt(AF_INET6);
  if (socket.file() < 0) socket = ListenAt(AF_INET);  // a system without IPv6
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (socket.file() < 0 ||
      getsockname(socket.file(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return SystemError("cannot listen for the other processes");
  }
  // Both families have their port at the same place.
  *port = ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  return socket;
}

absl::StatusOr<Socket> Accept(const Socket& listener, Deadline deadline) {
  while (true) {
    RETURN_IF_ERROR(WaitFor(listener.file(), POLLIN, deadline));
    Socket socket(accept4(listener.file(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.file() >= 0) return socket;
    // Who came has gone again.
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) return SystemError("accept");
  }
}

absl::StatusOr<Socket> ConnectTo(const std::string& address, int port, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.c_str(), absl::StrCat(port).c_str(), &hints, &found) != 0) {
    return absl::UnavailableError(absl::StrCat(address, " is no address"));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.file() < 0) return SystemError(address);
  if (connect(socket.file(), found->ai_addr, found->ai_addrlen) == 0) return socket;
  if (errno != EINPROGRESS) return SystemError(address);
  RETURN_IF_ERROR(Annotate(WaitFor(socket.file(), POLLOUT, deadline), address));
  socklen_t size = sizeof(errno);
  if (getsockopt(socket.file(), SOL_SOCKET, SO_ERROR, &errno, &size) != 0 || errno != 0) {
    return SystemError(address);
  }
  return socket;
}

void KeepAlive(const Socket& socket) {
  const auto set = [&](int level, int option, int value) {
    setsockopt(socket.file(), level, option, &value, sizeof(value));
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 10);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 6);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 40000);  // ms, also where something was sent
  set(IPPROTO_TCP, TCP_NODELAY, 1);
}

absl::Status SendAll(const Socket& socket, const void* data, size_t size, Deadline deadline) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t sent = send(socket.file(), next, size, MSG_NOSIGNAL);
    if (sent > 0) {
      next += sent;
      size -= static_cast<size_t>(sent);
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(WaitFor(socket.file(), POLLOUT, deadline));
    } else if (errno != EINTR) {
      return SystemError("send");
    }
  }
  return absl::OkStatus();
}

absl::Status ReceiveAll(const Socket& socket, void* data, size_t size, Deadline deadline) {
  char* next = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t received = recv(socket.file(), next, size, 0);
    if (received > 0) {
      next += received;
      size -= static_cast<size_t>(received);
    } else if (received == 0) {
      return absl::UnavailableError("the other end is closed");
    } else if (errno == EAGAIN) {
      RETURN_IF_ERROR(WaitFor(socket.file(), POLLIN, deadline));
    } else if (errno != EINTR) {
      return SystemError("recv");
    }
  }
  return absl::OkStatus();
}

}  // namespace cmerc
