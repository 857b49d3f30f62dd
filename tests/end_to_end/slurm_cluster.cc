#include "tests/end_to_end/slurm_cluster.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

// Sockets that stay open until all ports are known, so that no two are the same.
class FreePorts {
 public:
  ~FreePorts() {
    for (const int file : files_) close(file);
  }
  int Next() {
    const int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    files_.push_back(file);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(file, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(file, reinterpret_cast<sockaddr*>(&address), &size), 0);
    return ntohs(address.sin_port);
  }

 private:
  std::vector<int> files_;
};

// The times are short: a node is down when it has not answered for six seconds, and is asked for no
// longer than MessageTimeout each time.
constexpr char kConfig[] = R"(ClusterName=cmerc
SlurmctldHost=HOST(127.0.0.1)
SlurmctldPort=PORT0
AuthType=auth/munge
AuthInfo=socket=FOLDER/munge.sock
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=FOLDER/state
SlurmdSpoolDir=FOLDER/spool.%n
SlurmctldPidFile=FOLDER/slurmctld.pid
SlurmdPidFile=FOLDER/slurmd.%n.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SlurmdTimeout=6
MessageTimeout=4
KillWait=10
NodeName=n1 NodeHostname=HOST NodeAddr=127.0.0.1 Port=PORT1 CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname=HOST NodeAddr=127.0.0.1 Port=PORT2 CPUs=1 State=UNKNOWN
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
)";

}  // namespace

std::string SlurmCluster::WhyNot() {
  if (geteuid() != 0) return "only root can start Slurm's daemons with nodes of their own";
  for (const char* program : {"/usr/sbin/munged", "/usr/sbin/slurmctld", "/usr/sbin/slurmd",
                              "/usr/bin/sbatch", "/usr/bin/squeue", "/usr/bin/unshare"}) {
    if (!std::filesystem::exists(program)) {
      return absl::StrCat("there is no ", program, " (tools/setup.sh --test installs Slurm)");
    }
  }
  if (RunProgram("/usr/bin/unshare", {"--pid", "--fork", "--kill-child", "/bin/true"}, "/")
          .exit_code != 0) {
    return "no process can have a namespace of its own here";
  }
  if (RunProgram("/usr/bin/setpriv", {"--clear-groups", "/bin/true"}, "/").exit_code != 0) {
    return "no process may set its groups here, as Slurm's daemons do";
  }
  return "";
}

SlurmCluster::SlurmCluster() {
  // Not below the test's own folder: names of sockets must be short.
  std::string folder = "/tmp/cmerc-slurm-XXXXXX";
  EXPECT_NE(mkdtemp(&folder[0]), nullptr);
  folder_ = folder;
  chmod(folder_.c_str(), 0755);
  WriteConfig();
  std::random_device random;
  std::string key(128, '\0');
  for (char& byte : key) byte = static_cast<char>(random());
  WriteFile(folder_ + "/munge.key", key);
  chmod((folder_ + "/munge.key").c_str(), 0400);
  StartDaemon("munged", "/usr/sbin/munged",
              {"--foreground", "--force", "--key-file=" + folder_ + "/munge.key",
               "--socket=" + folder_ + "/munge.sock", "--pid-file=" + folder_ + "/munge.pid",
               "--seed-file=" + folder_ + "/munge.seed"});
  StartDaemon("slurmctld", "/usr/sbin/slurmctld",
              {"-D", "-f", folder_ + "/slurm.conf", "-L", folder_ + "/slurmctld.log"});
  for (const char* node : {"n1", "n2"}) StartNode(node);
  for (int look = 0; look < 300 && !ok_; ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    ok_ = BothAreIdle();
  }
}

SlurmCluster::~SlurmCluster() {
  for (const char* name : {"n1", "n2", "slurmctld", "munged"}) KillDaemon(name);
  // What a daemon had started dies a moment after it, and may write until then.
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
    if (!error && !std::filesystem::exists(folder_)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ADD_FAILURE() << "cannot remove " << folder_;
}

void SlurmCluster::WriteConfig() {
  char host[256] = "";
  gethostname(host, sizeof(host) - 1);
  const std::string name(host);
  FreePorts ports;
  std::vector<std::pair<std::string, std::string>> values = {
      {"HOST", name.substr(0, name.find('.'))}, {"FOLDER", folder_}};
  for (int i = 0; i < 3; ++i)
    values.emplace_back(absl::StrCat("PORT", i), absl::StrCat(ports.Next()));
  WriteFile(folder_ + "/slurm.conf", absl::StrReplaceAll(kConfig, values));
  std::filesystem::create_directory(folder_ + "/state");
}

void SlurmCluster::StartDaemon(const std::string& name, const std::string& program,
                               const std::vector<std::string>& args) {
  // In a namespace of its own, whose processes all go with its first one.
  std::vector<std::string> apart = {"--pid", "--fork", "--kill-child", program};
  apart.insert(apart.end(), args.begin(), args.end());
  daemons_[name] = std::make_unique<RunningProgram>("/usr/bin/unshare", apart, folder_,
                                                    Surroundings{Environment()});
}

void SlurmCluster::KillDaemon(const std::string& name) {
  const auto daemon = daemons_.find(name);
  if (daemon == daemons_.end()) return;
  kill(daemon->second->pid(), SIGKILL);
  daemon->second->Wait();
  daemons_.erase(daemon);
}

void SlurmCluster::StartNode(const std::string& node) {
  StartDaemon(
      node, "/usr/sbin/slurmd",
      {"-D", "-N", node, "-f", folder_ + "/slurm.conf", "-L", folder_ + "/" + node + ".log"});
}

void SlurmCluster::KillNode(const std::string& node) { KillDaemon(node); }

bool SlurmCluster::BothAreIdle() const {
  return Run("sinfo", {"--noheader", "--states=idle", "--format=%D"}).out == "2\n";
}

std::string SlurmCluster::Logs() const {
  std::string text;
  for (const char* name : {"slurmctld", "n1", "n2"}) {
    const std::string log = absl::StrCat(folder_, "/", name, ".log");
    if (std::filesystem::exists(log)) absl::StrAppend(&text, name, ":\n", ReadFile(log));
  }
  return text;
}

std::map<std::string, std::string> SlurmCluster::Environment() const {
  return {{"SLURM_CONF", folder_ + "/slurm.conf"}};
}

Outcome SlurmCluster::Run(const std::string& command, const std::vector<std::string>& args) const {
  return RunProgram("/usr/bin/" + command, args, folder_, {Environment()});
}

}  // namespace cmerc
