#include "processes/lifelines.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "core/status.h"

namespace cmerc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What one says who connects, and what the other answers when it is the one that was meant.
struct Greeting {
  char magic[8];
  uint64_t launch;
  int32_t from, to;
};

// What is said over a lifeline: a kind and a number.
struct Message {
  char kind[8];
  int64_t value;
};

constexpr char kMagic[8] = {'c', 'm', 'e', 'r', 'c', 'l', 'f', '1'};
constexpr char kLeaves = 'l';   // after so many calls
constexpr char kMourns = 'm';   // ends because this rank is gone ...
constexpr char kFollows = 'f';  // ... or has left early

// An address that somebody else has may not answer at all.
constexpr seconds kPatiencePerAddress(5);
// How long the reason of a failure is waited for: longer than a host without an answer is.
constexpr seconds kPatienceForReason(60);
// How long a process that leaves waits for the others.
constexpr seconds kPatienceForOthers(10);

Greeting GreetingOf(uint64_t launch, int from, int to) {
  Greeting greeting{};
  std::memcpy(greeting.magic, kMagic, sizeof(kMagic));
  greeting.launch = launch;
  greeting.from = from;
  greeting.to = to;
  return greeting;
}

bool operator==(const Greeting& a, const Greeting& b) {
  return std::memcmp(a.magic, b.magic, sizeof(a.magic)) == 0 && a.launch == b.launch &&
         a.from == b.from && a.to == b.to;
}

bool IsLoopback(const std::string& address) {
  return address == "::1" || address.rfind("127.", 0) == 0;
}

}  // namespace

Lifelines::Lifelines(int rank, std::vector<Member> members)
    : rank_(rank), members_(std::move(members)), lines_(members_.size()) {}

absl::StatusOr<std::unique_ptr<Lifelines>> Lifelines::Connect(int rank, std::vector<Member> members,
                                                              const Socket& listener,
                                                              uint64_t launch, Deadline deadline) {
  auto lines = absl::WrapUnique(new Lifelines(rank, std::move(members)));
  // Process 0 admits at once, and each other one when those before it have: nobody waits in a ring.
  for (int other = 0; other < rank; ++other) {
    ASSIGN_OR_RETURN(lines->lines_[other].socket, lines->Reach(other, launch, deadline));
    lines->lines_[other].open = true;
  }
  RETURN_IF_ERROR(lines->Admit(listener, launch, deadline));
  for (Line& line : lines->lines_) {
    if (!line.open) continue;
    KeepAlive(line.socket);
    const std::string address = LocalAddress(line.socket);
    if (lines->address_.empty() || (IsLoopback(lines->address_) && !IsLoopback(address))) {
      lines->address_ = address;
    }
  }
  return lines;
}

absl::StatusOr<Socket> Lifelines::Reach(int other, uint64_t launch, Deadline deadline) const {
  const Member& member = members_[other];
  const Greeting greeting = GreetingOf(launch, rank_, other);
  std::string tried;
  for (const std::string& address : member.addresses) {
    const Deadline soon =
        std::min(deadline, std::chrono::steady_clock::now() + kPatiencePerAddress);
    absl::StatusOr<Socket> socket = ConnectTo(address, member.port, soon);
    absl::Status status = socket.status();
    Greeting answer{};
    if (status.ok()) status = SendAll(*socket, &greeting, sizeof(greeting), soon);
    // The other one may still wait for those before it.
    if (status.ok()) status = ReceiveAll(*socket, &answer, sizeof(answer), deadline);
    if (status.ok() && answer == GreetingOf(launch, other, rank_)) return *std::move(socket);
    absl::StrAppend(&tried, tried.empty() ? "" : "; ", address, ": ",
                    status.ok() ? "somebody else answers" : std::string(status.message()));
  }
  return absl::UnavailableError(absl::StrCat(Name(rank_), " cannot reach ", Name(other),
                                             " at port ", member.port, " (", tried,
                                             "); a firewall between the hosts, or it has ended"));
}

absl::Status Lifelines::Admit(const Socket& listener, uint64_t launch, Deadline deadline) {
  const auto missing = [&] {
    for (size_t other = rank_ + 1; other < lines_.size(); ++other) {
      if (!lines_[other].open) return static_cast<int>(other);
    }
    return -1;
  };
  while (missing() >= 0) {
    absl::StatusOr<Socket> socket = Accept(listener, deadline);
    if (!socket.ok()) {
      return absl::UnavailableError(absl::StrCat(Name(missing()), " does not reach ", Name(rank_),
                                                 " at port ", members_[rank_].port,
                                                 "; a firewall between the hosts, or it has "
                                                 "ended"));
    }
    Greeting greeting{};
    const Deadline soon =
        std::min(deadline, std::chrono::steady_clock::now() + kPatiencePerAddress);
    // Anybody may connect; who does not greet is nobody.
    if (!ReceiveAll(*socket, &greeting, sizeof(greeting), soon).ok()) continue;
    const int from = greeting.from;
    if (from <= rank_ || from >= static_cast<int>(lines_.size()) || lines_[from].open ||
        !(greeting == GreetingOf(launch, from, rank_))) {
      continue;
    }
    const Greeting answer = GreetingOf(launch, rank_, from);
    if (!SendAll(*socket, &answer, sizeof(answer), soon).ok()) continue;
    lines_[from].socket = *std::move(socket);
    lines_[from].open = true;
  }
  return absl::OkStatus();
}

std::string Lifelines::Name(int rank) const {
  return absl::StrCat("rank ", rank, " of ", members_.size(), " (host ", members_[rank].host,
                      ", process ", members_[rank].process, ")");
}

void Lifelines::Read(Line* line) {
  char buffer[sizeof(Message) * 4];
  while (line->open) {
    const ssize_t size = recv(line->socket.file(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
      line->open = false;
      return;
    }
    line->received.append(buffer, static_cast<size_t>(size));
    while (line->received.size() >= sizeof(Message)) {
      Message message;
      std::memcpy(&message, line->received.data(), sizeof(message));
      line->received.erase(0, sizeof(message));
      if (message.kind[0] == kLeaves) line->calls = message.value;
      const bool blames = message.kind[0] == kMourns || message.kind[0] == kFollows;
      if (blames && message.value >= 0 && message.value < static_cast<int64_t>(lines_.size())) {
        line->blames = static_cast<int>(message.value);
        line->blamed_left = message.kind[0] == kFollows;
      }
    }
  }
}

bool Lifelines::Poll(int done, milliseconds patience) {
  std::vector<pollfd> entries = {{done, POLLIN, 0}};
  std::vector<Line*> open;
  for (Line& line : lines_) {
    if (!line.open) continue;
    entries.push_back({line.socket.file(), POLLIN, 0});
    open.push_back(&line);
  }
  const int ready = poll(entries.data(), entries.size(), static_cast<int>(patience.count()));
  if (ready <= 0) return false;
  for (size_t i = 0; i < open.size(); ++i) {
    if (entries[i + 1].revents != 0) Read(open[i]);
  }
  return (entries[0].revents & POLLIN) != 0;
}

std::optional<absl::Status> Lifelines::Culprit(int64_t call, absl::string_view what) {
  // Who died without a word is the reason of all else.
  int culprit = -1;
  bool left = false;
  for (int other = 0; other < static_cast<int>(lines_.size()); ++other) {
    if (other != rank_ && lines_[other].gone()) culprit = other;
  }
  for (const Line& line : lines_) {
    if (culprit >= 0 || !line.blames.has_value()) continue;
    culprit = *line.blames;
    left = line.blamed_left;
  }
  for (int other = 0; culprit < 0 && other < static_cast<int>(lines_.size()); ++other) {
    left = lines_[other].calls.value_or(call) < call;
    if (left) culprit = other;
  }
  if (culprit < 0) return std::nullopt;
  TellAll(left ? kFollows : kMourns, culprit);
  return absl::UnavailableError(absl::StrCat(
      Name(culprit), left ? " has ended before the others; see what it said" : " is gone",
      left ? "" : ": it was killed or has crashed, or its host or the network to it is down",
      " (noticed at: ", what, ")"));
}

absl::Status Lifelines::WaitFor(int done, int64_t call, absl::string_view what) {
  // What was heard in the calls before may be the end of this one.
  for (milliseconds patience(0); !Poll(done, patience); patience = milliseconds(-1)) {
    const std::optional<absl::Status> culprit = Culprit(call, what);
    if (culprit.has_value()) return *culprit;
  }
  return absl::OkStatus();
}

absl::Status Lifelines::WhyFailed(int64_t call, absl::string_view what, const std::string& error) {
  const Deadline deadline = std::chrono::steady_clock::now() + kPatienceForReason;
  while (true) {
    std::optional<absl::Status> culprit = Culprit(call, what);
    if (culprit.has_value()) return *culprit;
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    Poll(-1, left);
  }
  return absl::UnavailableError(
      absl::StrCat("the connection between the processes has failed at: ", what, ": ", error));
}

void Lifelines::TellAll(char kind, int64_t value) {
  Message message{};
  message.kind[0] = kind;
  message.value = value;
  for (const Line& line : lines_) {
    if (!line.open) continue;
    // A line that takes nothing is one that nobody will read.
    send(line.socket.file(), &message, sizeof(message), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

void Lifelines::Leave(int64_t calls) {
  TellAll(kLeaves, calls);
  const Deadline deadline = std::chrono::steady_clock::now() + kPatienceForOthers;
  while (std::any_of(lines_.begin(), lines_.end(), [](const Line& line) {
    return line.open && !line.calls.has_value() && !line.blames.has_value();
  })) {
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return;
    Poll(-1, left);
  }
}

}  // namespace cmerc
