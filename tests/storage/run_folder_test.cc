#include "storage/run_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/bin/files.h"

namespace cmerc {
namespace {

TEST(HoldsRunTest, GoesByWhatTheFilesHold) {
  const std::string folder = NewFolder();
  EXPECT_FALSE(HoldsRun(folder));
  EXPECT_FALSE(HoldsRun(folder + "/none"));
  // Of other programs.
  WriteFile(folder + "/metrics.jsonl", "{\"step\":1}\n");
  WriteFile(folder + "/summary.json", "{\"_runtime\": 3}\n");
  EXPECT_FALSE(HoldsRun(folder));
  std::filesystem::create_directory(folder + "/uncalibrated");
  WriteFile(folder + "/uncalibrated/metrics.jsonl", "");
  EXPECT_TRUE(HoldsRun(folder)) << "begun, and no epoch is over";
  std::filesystem::remove_all(folder + "/uncalibrated");
  WriteFile(folder + "/metrics.jsonl", "{\"epoch\":1,\"steps\":4}\n");
  EXPECT_TRUE(HoldsRun(folder));
  std::filesystem::remove(folder + "/metrics.jsonl");
  WriteFile(folder + "/summary.json", "{\n \"protocol\": \"HELD_OUT\"\n}\n");
  EXPECT_TRUE(HoldsRun(folder)) << "finished";
  std::filesystem::remove(folder + "/summary.json");
  std::filesystem::create_directory(folder + "/metrics.jsonl");
  EXPECT_FALSE(HoldsRun(folder));
}

}  // namespace
}  // namespace cmerc
