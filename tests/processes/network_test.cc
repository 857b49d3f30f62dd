// Two hosts that share a folder: processes with a network each, between which a third one carries
// the packets. Skips itself where it is not root, or there is no `ip`.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <torch/types.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "processes/process_group.h"
#include "tests/bin/files.h"
#include "tests/processes/ranks.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

constexpr char kIp[] = "/usr/sbin/ip";
constexpr char kNsenter[] = "/usr/bin/nsenter";

// Whether a shell command succeeds.
bool Does(const std::string& command) { return std::system(command.c_str()) == 0; }

std::string WhyNot() {
  for (const char* program : {kIp, kNsenter, "/usr/bin/unshare", "/dev/net/tun"}) {
    if (!std::filesystem::exists(program)) {
      return absl::StrCat("there is no ", program, " (tools/setup.sh --test installs iproute2)");
    }
  }
  if (!Does("/usr/bin/unshare --net /usr/sbin/ip tuntap add cable mode tun 2> /dev/null")) {
    return "no process can have a network of its own here";
  }
  return "";
}

// The end of a cable in the network of a process: what is sent there can be read, and the other way
// round. -1: it cannot be made.
int CableEnd(pid_t process) {
  const int network = open(absl::StrCat("/proc/", process, "/ns/net").c_str(), O_RDONLY);
  if (network < 0 || setns(network, CLONE_NEWNET) != 0) return -1;
  const int end = open("/dev/net/tun", O_RDWR);
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::strcpy(request.ifr_name, "cable");
  return ioctl(end, TUNSETIFF, &request) == 0 ? end : -1;
}

// Carries packets between two ends until it is killed.
[[noreturn]] void CarryPackets(int first, int second) {
  std::vector<char> packet(1 << 16);
  while (true) {
    pollfd ends[2] = {{first, POLLIN, 0}, {second, POLLIN, 0}};
    poll(ends, 2, -1);
    for (int i = 0; i < 2; ++i) {
      if (ends[i].revents == 0) continue;
      const ssize_t size = read(ends[i].fd, packet.data(), packet.size());
      // Networks lose packets.
      if (size > 0 && write(ends[1 - i].fd, packet.data(), static_cast<size_t>(size)) < 0) continue;
    }
  }
}

// Two ranks on hosts of their own, 10.77.0.1 and 10.77.0.2.
class TwoHosts {
 public:
  TwoHosts() : ranks_(NewFolder()) {
    EXPECT_EQ(pipe(apart_), 0);
    EXPECT_EQ(pipe(connected_), 0);
  }
  ~TwoHosts() {
    kill(cable_, SIGKILL);
    waitpid(cable_, nullptr, 0);
  }

  // What the two processes return.
  std::vector<std::string> Run(const RankWork& work, const std::string& address = "") {
    std::vector<pid_t> processes;
    for (int rank = 0; rank < 2; ++rank) {
      ProcessIdentity identity = RankOf(rank, 2);
      identity.address = address;
      identity.port = 29500;
      processes.push_back(
          ranks_.Start(identity, work, std::chrono::minutes(2), [this] { BeApart(); }));
    }
    char byte;
    for (int rank = 0; rank < 2; ++rank) EXPECT_EQ(read(apart_[0], &byte, 1), 1);
    cable_ = fork();
    if (cable_ == 0) {
      const int first = CableEnd(processes[0]), second = CableEnd(processes[1]);
      if (first < 0 || second < 0 || write(apart_[1], "c", 1) != 1) _exit(4);
      CarryPackets(first, second);
    }
    EXPECT_EQ(read(apart_[0], &byte, 1), 1);
    for (int rank = 0; rank < 2; ++rank) {
      const std::string within =
          absl::StrCat(kNsenter, " --net=/proc/", processes[rank], "/ns/net ", kIp);
      EXPECT_TRUE(Does(absl::StrCat(within, " link set lo up")));
      EXPECT_TRUE(Does(absl::StrCat(within, " addr add 10.77.0.", rank + 1, " peer 10.77.0.",
                                    2 - rank, " dev cable")));
      EXPECT_TRUE(Does(absl::StrCat(within, " link set cable up")));
    }
    for (int rank = 0; rank < 2; ++rank) {
      EXPECT_EQ(write(connected_[1], &cable_, sizeof(cable_)), static_cast<int>(sizeof(cable_)));
    }
    return ranks_.Results();
  }

  // Of a rank: from now on no packet arrives, and nobody is told.
  void PullCable() const { kill(cable_, SIGSTOP); }

 private:
  // Leaves the network of the test, and waits for one of its own.
  void BeApart() {
    if (unshare(CLONE_NEWNET) != 0 || write(apart_[1], "a", 1) != 1 ||
        read(connected_[0], &cable_, sizeof(cable_)) != static_cast<int>(sizeof(cable_))) {
      _exit(3);
    }
  }

  int apart_[2], connected_[2];
  pid_t cable_ = 0;
  Ranks ranks_;
};

std::string GatherOnce(ProcessGroup& group) {
  const auto all = group.AllGather(torch::full({group.rank() + 1}, 5 + group.rank()), "numbers");
  if (!all.ok()) return all.status().ToString();
  return absl::StrCat((*all)[0].sum().item<int64_t>(), " ", (*all)[1].sum().item<int64_t>());
}

TEST(NetworkTest, HostsMeetByAFolderThatTheyShare) {
  if (!WhyNot().empty()) GTEST_SKIP() << WhyNot();
  EXPECT_THAT(TwoHosts().Run(GatherOnce), Each("5 12"));
}

TEST(NetworkTest, HostsMeetAtAnAddress) {
  if (!WhyNot().empty()) GTEST_SKIP() << WhyNot();
  EXPECT_THAT(TwoHosts().Run(GatherOnce, "10.77.0.1"), Each("5 12"));
}

// Nothing says that a host is gone when its cable is pulled: it does not answer any more. Both find
// that out within a minute.
TEST(NetworkTest, AHostWithoutItsCableIsGone) {
  if (!WhyNot().empty()) GTEST_SKIP() << WhyNot();
  TwoHosts hosts;
  const auto work = [&hosts](ProcessGroup& group) {
    const absl::StatusOr<bool> first = group.Any(false, "step 1");
    if (group.rank() == 1) hosts.PullCable();
    return absl::StrCat(first.status().ToString(), " ",
                        group.Any(false, "step 2").status().ToString());
  };
  const std::vector<std::string> results = hosts.Run(work);
  for (int rank = 0; rank < 2; ++rank) {
    EXPECT_THAT(results[rank],
                AllOf(HasSubstr(absl::StrCat("UNAVAILABLE: rank ", 1 - rank, " of 2 (host ")),
                      HasSubstr("is gone"), HasSubstr("noticed at: step ")));
  }
}

}  // namespace
}  // namespace cmerc
