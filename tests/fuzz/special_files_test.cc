// What is no file to read, given to every reader that takes a path: an error that names it, at
// once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "calibration/difficulty.h"
#include "config/loader.h"
#include "core/dataset.h"
#include "datasets/formats/conversation_file.h"
#include "datasets/official/official_pickles.pb.h"
#include "datasets/tables/array_table.h"
#include "datasets/tables/utterance_csv.h"
#include "storage/checkpoint.h"
#include "storage/pickle/pickle.h"
#include "tests/bin/files.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

struct Reader {
  std::string name;
  std::function<absl::Status(const std::string& path)> read;
};

std::vector<Reader> Readers() {
  return {
      {"Config", [](const std::string& path) { return LoadConfig(path, {}).status(); }},
      {"Pickle", [](const std::string& path) { return pickle::Document::Open(path).status(); }},
      {"Checkpoint", [](const std::string& path) { return ReadCheckpoint(path).status(); }},
      {"Difficulties", [](const std::string& path) { return ReadDifficulties(path).status(); }},
      {"Conversations",
       [](const std::string& path) { return ConversationFile::Open(path).status(); }},
      {"Arrays", [](const std::string& path) { return datasets::ArrayTable::Open(path).status(); }},
      {"Utterances",
       [](const std::string& path) {
         return datasets::ReadUtteranceCsv(path, datasets::CsvLabel::kEmotion).status();
       }},
      {"OfficialPickles",
       [](const std::string& path) {
         OfficialPicklesOptions options;
         options.set_features_file(path);
         google::protobuf::Any any;
         any.PackFrom(options);
         return Datasets().Create(any).status();
       }},
  };
}

struct Special {
  std::string name;
  std::function<std::string(const std::string& folder)> make;  // its path
};

std::vector<Special> Specials() {
  return {
      {"Missing", [](const std::string& folder) { return folder + "/missing"; }},
      {"Empty",
       [](const std::string& folder) {
         std::ofstream{folder + "/empty"};
         return folder + "/empty";
       }},
      {"Folder", [](const std::string& folder) { return folder; }},
      {"FileAsFolder",
       [](const std::string& folder) {
         std::ofstream{folder + "/file"};
         return folder + "/file/inside";
       }},
      {"Pipe",
       [](const std::string& folder) {
         EXPECT_EQ(mkfifo((folder + "/pipe").c_str(), 0600), 0);
         return folder + "/pipe";
       }},
      {"DevZero", [](const std::string&) { return std::string("/dev/zero"); }},
      {"DevNull", [](const std::string&) { return std::string("/dev/null"); }},
      {"LinkLoop",
       [](const std::string& folder) {
         std::filesystem::create_symlink("b", folder + "/a");
         std::filesystem::create_symlink("a", folder + "/b");
         return folder + "/a";
       }},
      {"LinkToNothing",
       [](const std::string& folder) {
         std::filesystem::create_symlink("nothing", folder + "/dangling");
         return folder + "/dangling";
       }},
      {"LongName", [](const std::string& folder) { return folder + "/" + std::string(300, 'x'); }},
  };
}

class SpecialFilesTest : public testing::TestWithParam<std::tuple<Reader, Special>> {};

TEST_P(SpecialFilesTest, AreErrorsThatNameThem) {
  const std::string folder = NewFolder();
  const auto& [reader, special] = GetParam();
  const std::string path = special.make(folder);
  const absl::Status status = reader.read(path);
  EXPECT_TRUE(status.code() == absl::StatusCode::kInvalidArgument ||
              status.code() == absl::StatusCode::kNotFound)
      << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(All, SpecialFilesTest,
                         testing::Combine(testing::ValuesIn(Readers()),
                                          testing::ValuesIn(Specials())),
                         [](const auto& info) {
                           return std::get<0>(info.param).name + std::get<1>(info.param).name;
                         });

std::string TemporaryFile(const std::string& name, const std::string& contents) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << contents;
  return path;
}

// A mapped file would end the program by SIGBUS.
TEST(ShrinkingFileTest, ADocumentKeepsWhatItHasRead) {
  const std::string text(1 << 20, 'x');
  const std::string path =
      TemporaryFile("shrinks.pkl", "X" + std::string("\0\0\x10\0", 4) + text + ".");
  const auto document = pickle::Document::Open(path);
  ASSERT_TRUE(document.ok()) << document.status();
  ASSERT_EQ(truncate(path.c_str(), 0), 0);
  EXPECT_EQ((*document)->root().string(), text);
}

// The kernel's files say 4096 and have less.
TEST(ShrinkingFileTest, AFileShorterThanItSays) {
  const std::string path = "/sys/kernel/mm/transparent_hugepage/enabled";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "there is no " << path;
  EXPECT_EQ(pickle::Document::Open(path).status().message(),
            path + ": has become shorter while it was read");
  EXPECT_EQ(ReadCheckpoint(path).status().message(),
            path + ": cannot be read; does another program write it?");
}

}  // namespace
}  // namespace cmerc
