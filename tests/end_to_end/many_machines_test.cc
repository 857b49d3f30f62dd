// The commands of docs/many_machines.md, section by section; those for Slurm where there can be
// one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/bin/cmerc_process.h"
#include "tests/end_to_end/slurm_cluster.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// The blocks of a language in `text`, one after the other.
std::string BlocksOf(const std::string& text, const std::string& language) {
  const std::string begin = absl::StrCat("\n```", language, "\n");
  std::string blocks;
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    at += begin.size();
    absl::StrAppend(&blocks, text.substr(at, text.find("```\n", at) - at));
  }
  return blocks;
}

// The section under the heading that begins so.
std::string Section(const std::string& page, const std::string& heading) {
  const size_t begin = page.find("\n## " + heading);
  EXPECT_NE(begin, std::string::npos) << heading;
  return page.substr(begin, page.find("\n## ", begin + 1) - begin);
}

class ManyMachinesTest : public testing::Test {
 protected:
  void SetUp() override {
    page_ = ReadFile("docs/many_machines.md");
    folder_ = NewFolder();
    WriteFile(folder_ + "/sweep.textproto", BlocksOf(page_, "textproto"));
    std::filesystem::create_directory(folder_ + "/bin");
    for (const char* program : {"cmerc", "cmerc_engine"}) {
      std::filesystem::create_symlink(std::filesystem::absolute(absl::StrCat("bin/", program)),
                                      absl::StrCat(folder_, "/bin/", program));
    }
  }

  Outcome Do(const std::string& heading, std::map<std::string, std::string> environment = {}) {
    const std::string commands = BlocksOf(Section(page_, heading), "sh");
    EXPECT_NE(commands, "") << heading;
    environment["PATH"] = folder_ + "/bin:/usr/bin:/bin";
    return RunProgram("/bin/bash", {"-euxc", commands}, folder_,
                      {environment, {"BUILD_WORKING_DIRECTORY"}});
  }

  std::string Table(const std::string& output) {
    return ReadFile(absl::StrCat(folder_, "/runs/", output, "/results_runs.csv"));
  }

  std::string page_, folder_;
};

TEST_F(ManyMachinesTest, FromOneMachineToSeveral) {
  Outcome outcome = Do("1. ");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("4 to do, "), HasSubstr("[4/4] ")));
  outcome = Do("2. ");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  outcome = Do("4. ");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("4 runs were finished already"));
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/shared.html"));
  EXPECT_EQ(Table("shared"), Table("sweep"));
  EXPECT_EQ(Table("parts"), Table("sweep"));
}

TEST_F(ManyMachinesTest, OneModelOnSeveralProcesses) {
  if (!std::filesystem::exists("/usr/bin/mpirun")) {
    GTEST_SKIP() << "there is no mpirun (tools/setup.sh --test installs openmpi-bin)";
  }
  // More processes than processors, and maybe root.
  const Outcome outcome = Do("One model", {{"OMPI_MCA_rmaps_base_oversubscribe", "1"},
                                           {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
                                           {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_TRUE(std::filesystem::exists(folder_ + "/runs/three/summary.json"));
}

TEST_F(ManyMachinesTest, ToSlurm) {
  if (const std::string why = SlurmCluster::WhyNot(); !why.empty()) GTEST_SKIP() << why;
  const SlurmCluster cluster;
  if (!cluster.ok()) GTEST_SKIP() << "Slurm does not come up here:\n" << cluster.Logs();
  Outcome outcome = Do("3. ", cluster.Environment());
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("4 to do, by Slurm; "), HasSubstr("submitted job "),
                                 HasSubstr("[4/4] ")));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/runs/cluster/slurm"));
  ASSERT_EQ(Do("1. ").exit_code, 0);
  EXPECT_EQ(Table("cluster"), Table("sweep"));
}

}  // namespace
}  // namespace cmerc
