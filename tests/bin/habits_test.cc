// What the table of habits names is there: options of configs and commands.
#include "bin/habits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bin/command_line.h"
#include "config/loader.h"

namespace cmerc {
namespace {

TEST(HabitsTest, EveryFlagNamesAnOptionOfThePreset) {
  for (const auto& [flag, path] : FlagHabits()) {
    const absl::Status status =
        LoadConfig("config/examples/iemocap_m3net_cmerc.textproto", {absl::StrCat(path, "=@")})
            .status();
    // "@" is no number and no name; a text may be anything.
    if (status.ok()) continue;
    EXPECT_TRUE(absl::StrContains(status.message(), absl::StrCat(" = @, must be ")) ||
                absl::StrContains(status.message(), "no plugin @ is linked") ||
                path == "data.modalities")
        << flag << ": " << status;
  }
}

TEST(HabitsTest, EveryCommandIsThere) {
  for (const auto& [habit, command] : CommandHabits()) {
    EXPECT_FALSE(FindCommand(habit).ok()) << habit;
    const std::string first = std::vector<std::string>(absl::StrSplit(command, ' '))[0];
    EXPECT_TRUE(first == "--version" || FindCommand(first).ok()) << command;
  }
}

}  // namespace
}  // namespace cmerc
