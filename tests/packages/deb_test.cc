// The Debian packages: what they say of themselves, what they hold, and that they work where they
// are unpacked.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bin/version.h"
#include "tests/bin/cmerc_process.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using testing::UnorderedElementsAre;

// What this command of a shell prints; it must succeed and complain of nothing.
std::string Printed(const std::string& command) {
  const Outcome outcome = RunProgram("/bin/sh", {"-c", command}, NewFolder());
  EXPECT_EQ(outcome.exit_code, 0) << command;
  EXPECT_EQ(outcome.err, "") << command;
  return outcome.out;
}

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

class DebTest : public testing::Test {
 protected:
  void SetUp() override {
    if (CMERC_HAS_DEB == 0) {
      GTEST_SKIP() << "no package can be made here; `bazel build //packages:deb` says why";
    }
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator("packages")) {
      if (entry.path().extension() == ".deb") found.push_back(entry.path().filename());
    }
    const std::string architecture = Lines(Printed("dpkg --print-architecture"))[0];
    const std::string rest = absl::StrCat("_", kVersion, "_", architecture, ".deb");
    ASSERT_THAT(found, UnorderedElementsAre("cmerc" + rest, "cmerc-serve" + rest));
    deb_ = std::filesystem::absolute("packages/cmerc" + rest);
    serve_deb_ = std::filesystem::absolute("packages/cmerc-serve" + rest);
  }

  static std::string FieldOf(const std::string& deb, const std::string& name) {
    return Printed(absl::StrCat("dpkg-deb --field '", deb, "' ", name));
  }
  std::string Field(const std::string& name) const { return FieldOf(deb_, name); }

  // The folder in which the package has been unpacked.
  std::string Unpacked() const {
    std::string root = NewFolder();
    Printed(absl::StrCat("dpkg-deb --extract '", deb_, "' '", root, "'"));
    return root;
  }

  std::string deb_, serve_deb_;
};

TEST_F(DebTest, SaysWhatItIs) {
  EXPECT_EQ(Field("Package"), "cmerc\n");
  EXPECT_EQ(Field("Version"), absl::StrCat(kVersion, "\n"));
  EXPECT_THAT(Field("Maintainer"), ContainsRegex("^.* <.*@.*>"));
  EXPECT_THAT(Field("Description"), StartsWith("emotion recognition in conversations"));
  EXPECT_THAT(Field("Section"), "science\n");
}

// OpenBLAS of the flavor that is linked, not of any.
TEST_F(DebTest, NeedsTheLibrariesThatAreLinked) {
  EXPECT_THAT(Field("Depends"),
              AllOf(ContainsRegex("libtorch[0-9.]+ \\(>= "), ContainsRegex("libabsl[0-9]+ \\(>= "),
                    ContainsRegex("libprotobuf[0-9]+"), ContainsRegex("libc6 \\(>= "),
                    HasSubstr("libopenblas0-openmp"), Not(ContainsRegex("libopenblas0(,| |$)"))));
}

TEST_F(DebTest, FilesAreRootsAndOfOneTime) {
  std::set<std::string> times;
  for (const std::string& line : Lines(Printed(absl::StrCat("dpkg-deb --contents '", deb_, "'")))) {
    const std::vector<std::string> columns = absl::StrSplit(line, ' ', absl::SkipEmpty());
    ASSERT_GE(columns.size(), 6u) << line;
    EXPECT_EQ(columns[1], "root/root") << line;
    times.insert(columns[3] + " " + columns[4]);
    const bool is_program = absl::StartsWith(columns[5], "./usr/lib/cmerc/cmerc");
    const std::string mode = line[0] == 'l'   ? "lrwxrwxrwx"
                             : line[0] == 'd' ? "drwxr-xr-x"
                             : is_program     ? "-rwxr-xr-x"
                                              : "-rw-r--r--";
    EXPECT_EQ(columns[0], mode) << line;
  }
  EXPECT_EQ(times.size(), 1u);
}

std::set<std::string> NamesIn(const std::string& folder, const std::string& ending) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ending) names.insert(entry.path().filename());
  }
  return names;
}

TEST_F(DebTest, HoldsEveryConfigAndPage) {
  const std::string share = Unpacked() + "/usr/share";
  for (const char* folder : {"examples", "experiments", "layouts"}) {
    const std::set<std::string> names = NamesIn(absl::StrCat("config/", folder), ".textproto");
    EXPECT_FALSE(names.empty()) << folder;
    EXPECT_EQ(NamesIn(absl::StrCat(share, "/cmerc/", folder), ".textproto"), names);
    for (const std::string& name : names) {
      EXPECT_EQ(ReadFile(absl::StrCat(share, "/cmerc/", folder, "/", name)),
                ReadFile(absl::StrCat("config/", folder, "/", name)));
    }
  }
  EXPECT_EQ(NamesIn(share + "/doc/cmerc/docs", ".md"), NamesIn("docs", ".md"));
  const auto files = Files(share);
  for (const char* file : {"doc/cmerc/copyright", "bash-completion/completions/cmerc"}) {
    ASSERT_EQ(files.count(file), 1u) << file;
    EXPECT_FALSE(files.at(file).empty()) << file;
  }
}

// What is compressed holds no time and no name.
TEST_F(DebTest, TextsAreCompressedWithoutATime) {
  const std::string share = Unpacked() + "/usr/share";
  for (const auto& [file, begins] : std::vector<std::pair<std::string, std::string>>{
           {share + "/man/man1/cmerc.1.gz", ".\\\" Written from "},
           {share + "/doc/cmerc/changelog.gz", "# Changelog\n"}}) {
    if (!std::filesystem::exists(file) && !std::filesystem::exists("CHANGELOG.md")) continue;
    EXPECT_THAT(Printed(absl::StrCat("gzip --decompress --stdout '", file, "'")),
                StartsWith(begins));
    EXPECT_EQ(ReadFile(file).substr(3, 5), std::string(5, '\0')) << "flags and time of " << file;
  }
}

TEST_F(DebTest, FilesAreThoseThatItsSumsAreOf) {
  const std::string root = Unpacked(), control = NewFolder();
  Printed(absl::StrCat("dpkg-deb --control '", deb_, "' '", control, "'"));
  EXPECT_THAT(Printed(absl::StrCat("cd '", root, "' && md5sum --check '", control, "/md5sums'")),
              HasSubstr("usr/lib/cmerc/cmerc_engine: OK\n"));
  EXPECT_THAT(ReadFile(control + "/md5sums"), Not(HasSubstr("DEBIAN")));
}

Outcome RunUnpacked(const std::string& root, const std::vector<std::string>& args,
                    const std::string& folder) {
  Surroundings surroundings;
  surroundings.unset = {"BUILD_WORKING_DIRECTORY"};
  return RunProgram(root + "/usr/bin/cmerc", args, folder, surroundings);
}

TEST_F(DebTest, TheQuickstartRunsWhereItIsUnpacked) {
  const std::string root = Unpacked(), folder = NewFolder();
  const auto before = Files(root);
  const Outcome outcome = RunUnpacked(
      root,
      {"train", absl::StrCat("--config=", root, "/usr/share/cmerc/examples/quickstart.textproto"),
       "--set", "training.epochs=1"},
      folder);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(NamesIn(folder + "/runs/quickstart", ".pth"), Contains("selected.pth"));
  EXPECT_EQ(Files(root), before);
  EXPECT_THAT(RunUnpacked(root, {"--version"}, folder).out, HasSubstr(kVersion));
}

TEST_F(DebTest, HelpAndMessagesNameConfigsThatAreThere) {
  const std::string root = std::filesystem::canonical(Unpacked()), folder = NewFolder();
  const std::string config = root + "/usr/share/cmerc/examples/quickstart.textproto";
  ASSERT_TRUE(std::filesystem::exists(config));
  EXPECT_THAT(RunUnpacked(root, {"help", "train"}, folder).out, HasSubstr("=" + config + " "));
  const Outcome outcome = RunUnpacked(root, {"train"}, folder);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.err,
            absl::StrCat("cmerc: --config=FILE is missing; try --config=", config, "\n"));
  EXPECT_EQ(
      RunUnpacked(root, {"train", "--config=config/examples/quickstart.textproto"}, folder).err,
      absl::StrCat("cmerc: config config/examples/quickstart.textproto does not exist; check the "
                   "path (",
                   root, "/usr/share/cmerc/examples/ has configs to start from)\n"));
}

// gRPC and the like are for those who want the server.
TEST_F(DebTest, TheServerIsAPackageOfItsOwn) {
  EXPECT_EQ(FieldOf(serve_deb_, "Package"), "cmerc-serve\n");
  EXPECT_EQ(FieldOf(serve_deb_, "Version"), absl::StrCat(kVersion, "\n"));
  EXPECT_THAT(FieldOf(serve_deb_, "Depends"),
              AllOf(StartsWith(absl::StrCat("cmerc (= ", kVersion, "), ")),
                    ContainsRegex("libgrpc\\+\\+1[0-9.a-z]*( |,)"), ContainsRegex("libcpp-httplib"),
                    ContainsRegex("libtorch[0-9.]+ \\(>= "), HasSubstr("libopenblas0-openmp")));
  EXPECT_THAT(Field("Depends"), AllOf(Not(HasSubstr("grpc")), Not(HasSubstr("httplib"))));
  const std::string root = Unpacked(), folder = NewFolder();
  const Outcome without = RunUnpacked(root, {"serve", "--model=m=m.pth"}, folder);
  EXPECT_EQ(without.exit_code, 2);
  EXPECT_THAT(without.err, HasSubstr("the Debian package cmerc-serve"));
  const auto before = Files(root);
  Printed(absl::StrCat("dpkg-deb --extract '", serve_deb_, "' '", root, "'"));
  std::vector<std::string> added;
  for (const auto& [file, text] : Files(root)) {
    if (before.count(file) == 0) added.push_back(file);
  }
  EXPECT_THAT(added, UnorderedElementsAre("usr/lib/cmerc/cmerc_serve", "usr/share/doc/cmerc-serve",
                                          "usr/share/doc/cmerc-serve/changelog.gz",
                                          "usr/share/doc/cmerc-serve/copyright"));
  const Outcome with = RunUnpacked(root, {"serve", "--model=m=m.pth"}, folder);
  EXPECT_EQ(with.exit_code, 2);
  EXPECT_THAT(with.err, HasSubstr("m.pth"));
}

}  // namespace
}  // namespace cmerc
