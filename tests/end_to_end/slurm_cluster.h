// A cluster of real Slurm with two nodes on this machine, for tests.
#ifndef CMERC_TESTS_END_TO_END_SLURM_CLUSTER_H_
#define CMERC_TESTS_END_TO_END_SLURM_CLUSTER_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/bin/cmerc_process.h"

namespace cmerc {

// munged, slurmctld and two slurmd, with a configuration, a key, ports and folders of their own.
// All of them end with this object.
class SlurmCluster {
 public:
  // Why there can be no cluster here: who runs the test is not root, or programs are missing; ""
  // where there can be one.
  static std::string WhyNot();

  // Starts the daemons and waits until both nodes, n1 and n2, are idle.
  SlurmCluster();
  ~SlurmCluster();
  SlurmCluster(const SlurmCluster&) = delete;
  SlurmCluster& operator=(const SlurmCluster&) = delete;

  // Whether both nodes came up.
  bool ok() const { return ok_; }
  // What the daemons said.
  std::string Logs() const;

  // With which the commands of Slurm find the cluster.
  std::map<std::string, std::string> Environment() const;
  // Runs a command of Slurm.
  Outcome Run(const std::string& command, const std::vector<std::string>& args) const;

  // The daemon of a node and all processes below it die at once, as when a plug is pulled.
  void KillNode(const std::string& node);
  void StartNode(const std::string& node);

 private:
  void WriteConfig();
  void StartDaemon(const std::string& name, const std::string& program,
                   const std::vector<std::string>& args);
  void KillDaemon(const std::string& name);
  bool BothAreIdle() const;

  std::string folder_;
  std::map<std::string, std::unique_ptr<RunningProgram>> daemons_;
  bool ok_ = false;
};

}  // namespace cmerc

#endif  // CMERC_TESTS_END_TO_END_SLURM_CLUSTER_H_
