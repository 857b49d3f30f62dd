// What the commands that run no model print, and where.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "registry/registry.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

// Standard output of a command that succeeds and has nothing to complain of.
std::string Output(const std::vector<std::string>& args) {
  const Outcome outcome = RunCmerc(args, NewFolder());
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, Not(HasSubstr("\033")));
  return outcome.out;
}

TEST(HelpTest, NamesEveryCommand) {
  const std::string help = Output({"help"});
  EXPECT_THAT(help, StartsWith("cmerc: emotion recognition in conversations"));
  for (const char* command : {"train", "evaluate", "predict", "difficulty", "experiment", "data",
                              "report", "plugins", "help"}) {
    EXPECT_THAT(help, HasSubstr(std::string("\n  ") + command + " "));
  }
  EXPECT_THAT(help, HasSubstr("Exit status: 0 ok, 1 the run failed, 2 bad"));
  EXPECT_EQ(Output({}), help);
  EXPECT_EQ(Output({"--help"}), help);
  EXPECT_EQ(Output({"-h"}), help);
}

TEST(HelpTest, OfEveryCommandHasAnExampleAndItsFlags) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> flags = {
      {"train", {"--config=FILE", "--set=FRAGMENT", "--output=DIR", "--overwrite"}},
      {"evaluate",
       {"--checkpoint=FILE", "--config=FILE", "--set=FRAGMENT", "--split=SPLIT", "--views",
        "--output=FILE"}},
      {"predict",
       {"--checkpoint=FILE", "--input=FILE", "--output=FILE", "--explain", "--on_error=WHAT",
        "--split=SPLIT", "--config=FILE", "--set=FRAGMENT"}},
      {"difficulty", {"--checkpoint=FILE", "--config=FILE", "--set=FRAGMENT", "--output=FILE"}},
      {"plugins", {}},
      {"help", {}},
  };
  for (const auto& [command, names] : flags) {
    const std::string help = Output({"help", command});
    EXPECT_THAT(help, HasSubstr("\n  cmerc " + command + " ")) << "no example";
    for (const std::string& name : names) EXPECT_THAT(help, HasSubstr("\n  " + name + " "));
  }
  EXPECT_EQ(Output({"train", "--help"}), Output({"help", "train"}));
  EXPECT_EQ(Output({"evaluate", "--views", "-h"}), Output({"help", "evaluate"}));
}

TEST(HelpTest, OfTheConfigHasEveryField) {
  EXPECT_THAT(Output({"help", "config"}),
              AllOf(HasSubstr("protocol"), HasSubstr("standardize"), HasSubstr("difficulty_file"),
                    HasSubstr("view_weights"), HasSubstr("batch_size: 16"),
                    HasSubstr("learning_rate"), HasSubstr("compare_uncalibrated: false")));
}

TEST(PluginsTest, ListsEveryLinkedOne) {
  const std::string list = Output({"plugins"});
  for (const RegistryBase* registry : AllRegistries()) {
    EXPECT_FALSE(registry->plugins().empty()) << registry->kind();
    for (const auto& [name, plugin] : registry->plugins()) {
      EXPECT_THAT(list, HasSubstr("[type.googleapis.com/" + name + "]"));
    }
  }
}

TEST(PluginsTest, OneByAnyOfItsNames) {
  const std::string m3net = Output({"plugins", "m3net"});
  EXPECT_THAT(m3net, AllOf(StartsWith("backbone M3Net"), HasSubstr("hypergraph_layers: 3"),
                           HasSubstr("official --num_K"), Not(HasSubstr("cmerc.NllOptions"))));
  EXPECT_EQ(Output({"plugins", "cmerc.M3NetOptions"}), m3net);
  EXPECT_EQ(Output({"plugins", "M3Net"}), m3net);
}

TEST(VersionTest, NamesTheLibraries) {
  const std::string versions = Output({"--version"});
  for (const char* name : {"abseil", "blas", "cmerc", "compiler", "cuda", "glibc", "kernels",
                           "libstdc++", "libtorch", "onednn", "openmp", "protobuf", "zlib"}) {
    EXPECT_THAT("\n" + versions, HasSubstr("\n" + std::string(name) + " "));
  }
  EXPECT_THAT(versions, Not(HasSubstr("unknown")));
  EXPECT_THAT("\n" + versions, HasSubstr("\ncmerc     0."));
}

TEST(OutputTest, MistakesGoToStandardErrorAlone) {
  const Outcome outcome = RunCmerc({"trian"}, NewFolder());
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, StartsWith("cmerc: unknown command"));
}

// The third exit status: nothing is wrong with the input.
// `evaluate` of a tiny run, and what it says about `output` in `folder`.
class LinkTest : public testing::Test {
 protected:
  LinkTest() {
    WriteFile(folder_ + "/tiny.textproto", TinyConfig());
    const Outcome trained = RunCmerc({"train", "--config=tiny.textproto", "--output=run"}, folder_);
    EXPECT_EQ(trained.exit_code, 0) << trained.err;
    std::filesystem::create_directory(folder_ + "/far");
  }
  Outcome Evaluate(const std::string& output) {
    return RunCmerc(
        {"evaluate", "--checkpoint=run/selected.pth", "--output=" + output, "--overwrite"},
        folder_);
  }
  const std::string folder_ = NewFolder();
};

TEST_F(LinkTest, AnOutputThatIsALinkIsFollowed) {
  std::filesystem::create_symlink("far/scores.json", folder_ + "/link.json");
  for (int i = 0; i < 2; ++i) {  // that leads to nothing, and then to a file
    const Outcome outcome = Evaluate("link.json");
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_TRUE(std::filesystem::is_symlink(folder_ + "/link.json"));
    EXPECT_THAT(ReadFile(folder_ + "/far/scores.json"), HasSubstr("\"split\": \"test\""));
  }
}

TEST_F(LinkTest, ALinkThatLeadsNowhereIsRefusedBeforeTheWork) {
  std::filesystem::create_symlink("nowhere/scores.json", folder_ + "/link.json");
  std::filesystem::create_symlink("round.json", folder_ + "/round.json");
  std::filesystem::create_directory_symlink("nowhere", folder_ + "/folder");
  const Outcome nowhere = Evaluate("link.json"), round = Evaluate("round.json");
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_EQ(nowhere.out, "");
  EXPECT_THAT(nowhere.err, HasSubstr("--output=link.json: cannot write into nowhere: No such file "
                                     "or directory; create that folder"));
  EXPECT_EQ(round.exit_code, 2);
  EXPECT_THAT(round.err, HasSubstr("Too many levels of symbolic links"));
  const Outcome folder = RunCmerc({"train", "--config=tiny.textproto", "--output=folder"}, folder_);
  EXPECT_EQ(folder.exit_code, 2);
  EXPECT_THAT(folder.err, HasSubstr("--output=folder: this is a link that leads to no folder"));
}

TEST(OutputTest, ARunThatFailsEndsWithOne) {
  const std::string folder = NewFolder();
  WriteFile(folder + "/tiny.textproto", TinyConfig());
  const Outcome outcome = RunCmerc({"train", "--config=tiny.textproto", "--output=run",
                                    "--set=training { epochs: 3 learning_rate: 1e30 }"},
                                   folder);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(StartsWith("cmerc: epoch "), HasSubstr("the loss "),
                                 HasSubstr("try a smaller training.learning_rate")));
  EXPECT_THAT(outcome.out, StartsWith("data "));
  // What was written until then stays.
  EXPECT_EQ(Files(folder).count("run/config.textproto"), 1u);
  EXPECT_EQ(Files(folder).count("run/metrics.jsonl"), 1u);
}

}  // namespace
}  // namespace cmerc
