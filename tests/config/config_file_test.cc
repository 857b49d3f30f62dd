// Files of configs, and what is no such file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

#include "config/loader.h"
#include "tests/config/config_text.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

std::string WriteFile(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

TEST(LoadConfigTest, ReadsFile) {
  const auto config = LoadConfig(WriteFile("valid.textproto", Valid()), {"training { epochs: 3 }"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->training().epochs(), 3);
  EXPECT_FALSE(config->training().has_batch_size());
}

TEST(LoadConfigTest, NamesFileLineAndColumn) {
  const std::string path = WriteFile("bad.textproto", Valid() + "\n  trainin { epochs: 1 }");
  EXPECT_EQ(LoadConfig(path, {}).status().message(),
            path + " is not a valid config:\n  " + path +
                ":5:3: message type \"cmerc.RunConfig\" has no field \"trainin\"; did you "
                "mean \"training\"? fields: data, backbone, losses, curriculum, calibration, "
                "training");
}

TEST(LoadConfigTest, MissingFile) {
  const absl::Status status = LoadConfig("/nowhere/c.textproto", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "config /nowhere/c.textproto does not exist; check the path");
}

TEST(LoadConfigTest, NoPath) {
  EXPECT_EQ(LoadConfig("", {}).status().message(),
            "no config is given; name a file, such as config/examples/quickstart.textproto");
}

TEST(LoadConfigTest, Directory) {
  const absl::Status status = LoadConfig(testing::TempDir(), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "config " + testing::TempDir() + " is a directory; name a file in it");
}

TEST(LoadConfigTest, UnreadableFile) {
  const std::string path = WriteFile("secret.textproto", Valid());
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  if (access(path.c_str(), R_OK) == 0) GTEST_SKIP() << "this user may read every file";
  const absl::Status status = LoadConfig(path, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(status.message(),
            "config " + path + " cannot be read: Permission denied; check its permissions");
}

TEST(LoadConfigTest, PipeWithAndWithoutAWriter) {
  const std::string path = testing::TempDir() + "/pipe.textproto";
  unlink(path.c_str());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(std::string(LoadConfig(path, {}).status().message()),
              HasSubstr("pipe.textproto is empty"));
  // As the shell's <(...) gives one; what is written into it may come late, and in pieces.
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread writer([&] {
    const std::string text = Valid();
    for (const char c : text) ASSERT_EQ(write(ends[1], &c, 1), 1);
    close(ends[1]);
  });
  const auto config = LoadConfig("/dev/fd/" + std::to_string(ends[0]), {});
  writer.join();
  close(ends[0]);
  EXPECT_TRUE(config.ok()) << config.status();
}

TEST(LoadConfigTest, DeviceWithoutEnd) {
  EXPECT_EQ(LoadConfig("/dev/zero", {}).status().message(),
            "config /dev/zero is larger than 1 MiB; name a text-format RunConfig");
}

TEST(LoadConfigTest, EmptyFile) {
  const std::string path = WriteFile("empty.textproto", " \n\t\n");
  EXPECT_EQ(LoadConfig(path, {"training { epochs: 3 }"}).status().message(),
            path + " is empty; write a text-format RunConfig (config/examples/ has some)");
}

TEST(LoadConfigTest, BinaryFile) {
  const std::string path = WriteFile("model.pt", std::string("PK\3\4\0\0", 6));
  EXPECT_EQ(LoadConfig(path, {}).status().message(),
            path + " is binary; name a text-format RunConfig");
}

TEST(LoadConfigTest, LargeFile) {
  const std::string path = WriteFile("large", std::string((1 << 20) + 1, '#'));
  EXPECT_EQ(LoadConfig(path, {}).status().message(),
            "config " + path + " is larger than 1 MiB; name a text-format RunConfig");
}
}  // namespace
}  // namespace cmerc
