#include "processes/meeting.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/status.h"
#include "core/torch_status.h"

namespace cmerc {
namespace {

using StorePointer = c10::intrusive_ptr<c10d::Store>;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Between two looks for those who have not come.
constexpr milliseconds kBetweenLooks(20);
// How long somebody who listens at an address may take to answer.
constexpr seconds kPatienceForAnswer(10);
constexpr char kLaunchKey[] = "launch";
constexpr char kFirstLine[] = "cmerc processes meet here";

std::vector<uint8_t> Bytes(const std::string& text) {
  return std::vector<uint8_t>(text.begin(), text.end());
}

std::string Get(c10d::Store& store, const std::string& key) {
  const std::vector<uint8_t> value = store.get(key);
  return std::string(value.begin(), value.end());
}

milliseconds Left(Deadline deadline) {
  const auto left =
      std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
  return std::max(left, milliseconds(1000));  // LibTorch counts seconds
}

uint64_t NewLaunch() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

c10d::TCPStoreOptions StoreOptions(int port, bool server, milliseconds patience) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(port);
  options.isServer = server;
  options.waitWorkers = false;
  options.timeout = patience;
  return options;
}

// What a meeting file says.
struct Place {
  std::string started_by;  // ProcessIdentity::started_by of rank 0
  uint64_t launch = 0;
  int port = 0;
  std::vector<std::string> addresses;
};

std::string Text(const Place& place) {
  return absl::StrCat(kFirstLine, "\n", place.started_by, "\n", place.launch, "\n", place.port,
                      "\n", absl::StrJoin(place.addresses, " "), "\n");
}

// Whether `path` holds a place, all of it.
bool ReadPlace(const std::string& path, Place* place) {
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (lines.size() != 6 || lines[0] != kFirstLine) return false;
  place->started_by = lines[1];
  place->addresses = absl::StrSplit(lines[4], ' ');
  return absl::SimpleAtoi(lines[2], &place->launch) && absl::SimpleAtoi(lines[3], &place->port);
}

// Writes the file so that nobody sees a part of it.
absl::Status WritePlace(const Place& place, const std::string& path) {
  const std::string half = absl::StrCat(path, ".", getpid());
  std::ofstream file(half, std::ios::binary | std::ios::trunc);
  file << Text(place);
  file.close();
  if (!file.good() || std::rename(half.c_str(), path.c_str()) != 0) {
    std::remove(half.c_str());
    return absl::UnavailableError(
        absl::StrCat(path, ": cannot be written; the processes meet by this file"));
  }
  return absl::OkStatus();
}

// The store at one of the addresses, where the processes of this launch are; nothing where nobody
// answers, or somebody else.
StorePointer TryPlace(const Place& place, Deadline deadline) {
  for (const std::string& address : place.addresses) {
    const Deadline soon = std::min(deadline, std::chrono::steady_clock::now() + seconds(2));
    if (!ConnectTo(address, place.port, soon).ok()) continue;
    try {
      auto store = c10::make_intrusive<c10d::TCPStore>(
          address, StoreOptions(place.port, false, kPatienceForAnswer));
      if (Get(*store, kLaunchKey) == absl::StrCat(place.launch)) return store;
    } catch (const std::exception&) {
      // Who answers there is no store, or not ours.
    }
  }
  return StorePointer();
}

// The store of processes without an address. Rank 0 has it, at a port that is free; a file says
// where.
absl::StatusOr<StorePointer> MeetInFolder(const ProcessIdentity& identity, const Member& self,
                                          const std::string& folder, Deadline deadline) {
  const std::string path = MeetingFile(folder);
  if (identity.rank == 0) {
    Place place;
    place.started_by = identity.started_by;
    place.launch = NewLaunch();
    place.addresses = self.addresses;
    c10::intrusive_ptr<c10d::TCPStore> store;
    RETURN_IF_ERROR(CatchTorch([&] {
      store = c10::make_intrusive<c10d::TCPStore>("localhost",
                                                  StoreOptions(0, true, kPatienceForAnswer));
      store->set(kLaunchKey, Bytes(absl::StrCat(place.launch)));
    }));
    place.port = store->getPort();
    RETURN_IF_ERROR(WritePlace(place, path));
    return store;
  }
  while (std::chrono::steady_clock::now() < deadline) {
    Place place;
    if (ReadPlace(path, &place) && place.started_by == identity.started_by) {
      StorePointer store = TryPlace(place, deadline);
      if (store) return store;
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return absl::UnavailableError(absl::StrCat(
      "rank 0 of ", identity.size, " has not come: no process of this launch answers where ", path,
      " says; the folder must be one that all processes see, on a file system that their hosts "
      "share"));
}

// The store at MASTER_ADDR.
absl::StatusOr<StorePointer> MeetAtAddress(const ProcessIdentity& identity, Deadline deadline) {
  StorePointer store;
  const bool server = identity.rank == 0 && !identity.agent_store;
  const absl::Status status = CatchTorch([&] {
    store = c10::make_intrusive<c10d::TCPStore>(
        identity.address, StoreOptions(identity.port, server, Left(deadline)));
  });
  if (status.ok()) return store;
  return absl::UnavailableError(
      absl::StrCat("MASTER_ADDR=", identity.address, ", MASTER_PORT=", identity.port, ": ",
                   server ? "rank 0 cannot listen there; choose a port that is free"
                          : "rank 0 does not answer there; it has ended, or the address is wrong",
                   " (", status.message(), ")"));
}

// A store of this launch alone, in one that may have served others: the n-th time that all of its
// processes meet there. FailedPrecondition: another process has this one's rank.
absl::StatusOr<StorePointer> OfThisLaunch(const ProcessIdentity& identity,
                                          const StorePointer& store) {
  auto attempt =
      c10::make_intrusive<c10d::PrefixStore>(absl::StrCat("cmerc/", identity.attempt), store);
  int64_t time = 0;
  RETURN_IF_ERROR(
      CatchTorch([&] { time = attempt->add(absl::StrCat("times/", identity.rank), 1); }));
  if (time > 1 && !identity.agent_store) {
    return absl::FailedPreconditionError(
        absl::StrCat("another process is rank ", identity.rank, " of ", identity.size,
                     " already; are there two launches of the same --output or MASTER_PORT?"));
  }
  return c10::make_intrusive<c10d::PrefixStore>(absl::StrCat(time), attempt);
}

std::string Key(int rank) { return absl::StrCat("member/", rank); }

std::string Text(const Member& member, int size) {
  return absl::StrCat(size, "\n", member.host, "\n", member.process, "\n", member.port, "\n",
                      absl::StrJoin(member.addresses, " "));
}

// FailedPrecondition: the process counts other processes than `size`.
absl::StatusOr<Member> ParseMember(const std::string& text, int rank, int size) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  Member member;
  int its_size = 0;
  if (lines.size() != 5 || !absl::SimpleAtoi(lines[0], &its_size) ||
      !absl::SimpleAtoi(lines[2], &member.process) || !absl::SimpleAtoi(lines[3], &member.port)) {
    return absl::FailedPreconditionError(
        absl::StrCat("what stands for rank ", rank, " was not written by this version of cmerc"));
  }
  if (its_size != size) {
    return absl::FailedPreconditionError(
        absl::StrCat("rank ", rank, " (host ", lines[1], ", process ", member.process,
                     ") was started as one of ", its_size, " processes, this one as one of ", size,
                     "; are there two launches of the same --output or MASTER_PORT?"));
  }
  member.host = lines[1];
  member.addresses = absl::StrSplit(lines[4], ' ');
  return member;
}

// All members, once they have come. Unavailable: some have not.
absl::StatusOr<std::vector<Member>> Members(const ProcessIdentity& identity, c10d::Store& store,
                                            Deadline deadline) {
  std::vector<Member> members;
  while (static_cast<int>(members.size()) < identity.size) {
    const int rank = static_cast<int>(members.size());
    if (store.check({Key(rank)})) {
      ASSIGN_OR_RETURN(Member member, ParseMember(Get(store, Key(rank)), rank, identity.size));
      members.push_back(std::move(member));
      continue;
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      std::vector<std::string> missing;
      for (int other = rank; other < identity.size; ++other) {
        if (!store.check({Key(other)})) missing.push_back(absl::StrCat(other));
      }
      return absl::UnavailableError(
          absl::StrCat("of the ", identity.size, " processes, ",
                       missing.size() == 1 ? "rank " : "ranks ", absl::StrJoin(missing, ", "),
                       missing.size() == 1 ? " has" : " have", " not come; see what they said"));
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return members;
}

}  // namespace

std::string MeetingFile(const std::string& folder) { return folder + "/processes.meeting"; }

absl::StatusOr<Meeting> Meet(const ProcessIdentity& identity, const Member& self,
                             const std::string& folder, Deadline deadline) {
  const bool in_folder = identity.address.empty();
  const absl::Cleanup remove_file = [&] {
    if (in_folder && identity.rank == 0) std::remove(MeetingFile(folder).c_str());
  };
  ASSIGN_OR_RETURN(const StorePointer common, in_folder
                                                  ? MeetInFolder(identity, self, folder, deadline)
                                                  : MeetAtAddress(identity, deadline));
  Meeting meeting;
  ASSIGN_OR_RETURN(meeting.store, OfThisLaunch(identity, common));
  absl::Status status = CatchTorch([&]() -> absl::Status {
    if (identity.rank == 0) meeting.store->set(kLaunchKey, Bytes(absl::StrCat(NewLaunch())));
    meeting.store->set(Key(identity.rank), Bytes(Text(self, identity.size)));
    ASSIGN_OR_RETURN(meeting.members, Members(identity, *meeting.store, deadline));
    if (!absl::SimpleAtoi(Get(*meeting.store, kLaunchKey), &meeting.launch)) {
      return absl::FailedPreconditionError("the number of the launch is none");
    }
    return absl::OkStatus();
  });
  // The store goes with rank 0, or with the agent of torchrun.
  if (absl::IsInternal(status)) {
    return absl::UnavailableError(
        absl::StrCat("rank 0 has ended while the processes came together: ", status.message()));
  }
  RETURN_IF_ERROR(status);
  return meeting;
}

}  // namespace cmerc
