#include "processes/who_am_i.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

absl::StatusOr<ProcessIdentity> WhoAmIWith(const Variables& variables) {
  return WhoAmI([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

struct Known {
  std::string name;
  Variables variables;
  int rank, size, local_rank;
  std::string launcher, started_by, address;
  int port;
};

std::ostream& operator<<(std::ostream& out, const Known& known) { return out << known.name; }

const std::vector<Known>& KnownCases() {
  static const auto* const cases = new std::vector<Known>{
      {"Nobody", {{"HOME", "/"}}, 0, 1, 0, "", "", "", 0},
      {"Torchrun",
       {{"RANK", "5"},
        {"WORLD_SIZE", "8"},
        {"LOCAL_RANK", "1"},
        {"MASTER_ADDR", "n0"},
        {"MASTER_PORT", "29500"}},
       5,
       8,
       1,
       "torchrun (RANK, WORLD_SIZE)",
       "",
       "n0",
       29500},
      {"TorchrunOfOne",
       {{"RANK", "0"}, {"WORLD_SIZE", "1"}},
       0,
       1,
       0,
       "torchrun (RANK, WORLD_SIZE)",
       "",
       "",
       0},
      {"OpenMpi",
       {{"OMPI_COMM_WORLD_RANK", "2"},
        {"OMPI_COMM_WORLD_SIZE", "3"},
        {"OMPI_COMM_WORLD_LOCAL_RANK", "2"},
        {"PMIX_NAMESPACE", "77"}},
       2,
       3,
       2,
       "Open MPI's mpirun (OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE)",
       "PMIX_NAMESPACE=77",
       "",
       0},
      {"Mpich",
       {{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MASTER_ADDR", "::1"}, {"MASTER_PORT", "1"}},
       1,
       2,
       0,
       "PMI (PMI_RANK, PMI_SIZE)",
       "",
       "::1",
       1},
      {"Srun",
       {{"SLURM_PROCID", "3"},
        {"SLURM_STEP_NUM_TASKS", "4"},
        {"SLURM_NTASKS", "4"},
        {"SLURM_LOCALID", "1"},
        {"SLURM_JOB_ID", "9"},
        {"SLURM_STEP_ID", "2"}},
       3,
       4,
       1,
       "srun (SLURM_PROCID, SLURM_STEP_NUM_TASKS)",
       "SLURM_JOB_ID=9 SLURM_STEP_ID=2",
       "",
       0},
      // A script of sbatch --ntasks=4, which Slurm starts once.
      {"Sbatch",
       {{"SLURM_PROCID", "0"},
        {"SLURM_NTASKS", "4"},
        {"SLURM_LOCALID", "0"},
        {"SLURM_JOB_ID", "9"}},
       0,
       1,
       0,
       "",
       "",
       "",
       0},
      // srun starts an agent of torchrun on each of two hosts, and that two processes.
      {"SrunOfTorchrun",
       {{"RANK", "3"},
        {"WORLD_SIZE", "4"},
        {"LOCAL_RANK", "1"},
        {"TORCHELASTIC_RUN_ID", "x"},
        {"SLURM_PROCID", "1"},
        {"SLURM_STEP_NUM_TASKS", "2"}},
       3,
       4,
       1,
       "torchrun (RANK, WORLD_SIZE)",
       "",
       "",
       0},
      // mpirun starts its own daemons by srun.
      {"MpirunWithinSlurm",
       {{"OMPI_COMM_WORLD_RANK", "3"},
        {"OMPI_COMM_WORLD_SIZE", "4"},
        {"SLURM_PROCID", "1"},
        {"SLURM_STEP_NUM_TASKS", "2"},
        {"SLURM_JOB_ID", "9"}},
       3,
       4,
       0,
       "Open MPI's mpirun (OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE)",
       "",
       "",
       0},
      // export RANK=$SLURM_PROCID WORLD_SIZE=$SLURM_NTASKS
      {"ByHandAsSrunSays",
       {{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}},
       1,
       2,
       0,
       "torchrun (RANK, WORLD_SIZE)",
       "",
       "",
       0},
  };
  return *cases;
}

class KnownTest : public testing::TestWithParam<Known> {};

TEST_P(KnownTest, IsWhoItIs) {
  const absl::StatusOr<ProcessIdentity> identity = WhoAmIWith(GetParam().variables);
  ASSERT_TRUE(identity.ok()) << identity.status();
  EXPECT_EQ(identity->rank, GetParam().rank);
  EXPECT_EQ(identity->size, GetParam().size);
  EXPECT_EQ(identity->local_rank, GetParam().local_rank);
  EXPECT_EQ(identity->launcher, GetParam().launcher);
  EXPECT_EQ(identity->started_by, GetParam().started_by);
  EXPECT_EQ(identity->address, GetParam().address);
  EXPECT_EQ(identity->port, GetParam().port);
  EXPECT_FALSE(identity->agent_store);
}

INSTANTIATE_TEST_SUITE_P(All, KnownTest, testing::ValuesIn(KnownCases()),
                         [](const auto& info) { return info.param.name; });

struct Refused {
  std::string name;
  Variables variables;
  std::string message;
};

std::ostream& operator<<(std::ostream& out, const Refused& refused) { return out << refused.name; }

const std::vector<Refused>& RefusedCases() {
  static const auto* const cases = new std::vector<Refused>{
      {"RankAlone",
       {{"RANK", "0"}},
       "RANK is set without WORLD_SIZE, which torchrun sets beside it"},
      {"SizeAlone",
       {{"OMPI_COMM_WORLD_SIZE", "2"}},
       "OMPI_COMM_WORLD_SIZE is set without OMPI_COMM_WORLD_RANK"},
      {"RankIsNoNumber",
       {{"RANK", "first"}, {"WORLD_SIZE", "2"}},
       "RANK=first, must be a number from 0 to"},
      {"RankIsEmpty", {{"RANK", ""}, {"WORLD_SIZE", "2"}}, "RANK=, must be a number"},
      {"RankIsNegative", {{"RANK", "-1"}, {"WORLD_SIZE", "2"}}, "RANK=-1, must be a number from 0"},
      {"SizeIsZero", {{"RANK", "0"}, {"WORLD_SIZE", "0"}}, "WORLD_SIZE=0, must be a number from 1"},
      {"RankIsTheSize",
       {{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}},
       "PMI_RANK=2 with PMI_SIZE=2: ranks are counted from 0 to 1"},
      {"LocalRank",
       {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"LOCAL_RANK", "2"}},
       "LOCAL_RANK=2, must be a number from 0 to 1"},
      {"AddressAlone",
       {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "n0"}},
       "MASTER_PORT is missing beside MASTER_ADDR"},
      {"PortAlone",
       {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "1"}},
       "MASTER_ADDR is missing beside MASTER_PORT"},
      {"NoPort",
       {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "n0"}, {"MASTER_PORT", "65536"}},
       "MASTER_PORT=65536, must be a number from 1 to 65535"},
      {"ByHandBesideMpirun",
       {{"RANK", "0"},
        {"WORLD_SIZE", "2"},
        {"OMPI_COMM_WORLD_RANK", "1"},
        {"OMPI_COMM_WORLD_SIZE", "2"}},
       "this process is 0 of 2 by torchrun (RANK, WORLD_SIZE), but 1 of 2 by Open MPI's mpirun"},
      {"ByHandBesideSrun",
       {{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}},
       "0 of 4 by srun"},
  };
  return *cases;
}

class RefusedTest : public testing::TestWithParam<Refused> {};

TEST_P(RefusedTest, SaysWhy) {
  const absl::Status status = WhoAmIWith(GetParam().variables).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr(GetParam().message), HasSubstr("set")));
}

INSTANTIATE_TEST_SUITE_P(All, RefusedTest, testing::ValuesIn(RefusedCases()),
                         [](const auto& info) { return info.param.name; });

// What torchrun says of its own store and of how often it has started the processes.
TEST(WhoAmITest, TorchrunHasAStoreAndStartsAgain) {
  Variables variables = {{"RANK", "0"},
                         {"WORLD_SIZE", "2"},
                         {"MASTER_ADDR", "localhost"},
                         {"MASTER_PORT", "4000"},
                         {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                         {"TORCHELASTIC_RESTART_COUNT", "3"}};
  EXPECT_TRUE(WhoAmIWith(variables)->agent_store);
  EXPECT_EQ(WhoAmIWith(variables)->attempt, 3);
  variables["TORCHELASTIC_USE_AGENT_STORE"] = "False";
  EXPECT_FALSE(WhoAmIWith(variables)->agent_store);
}

TEST(WhoAmITest, WithoutItsVariablesItIsAlone) {
  for (const Known& known : KnownCases()) {
    Variables variables = known.variables;
    for (const std::string& name : LaunchVariables()) variables.erase(name);
    EXPECT_EQ(WhoAmIWith(variables)->size, 1) << known.name;
  }
}

}  // namespace
}  // namespace cmerc
