#include "tests/end_to_end/experiments.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/bin/tiny_files.h"

namespace cmerc {

std::string Plan(const std::string& more) {
  return absl::StrCat("base { ", TinyConfig(), " }\n", more);
}

std::string FourRuns() {
  const std::string plan = Plan(R"pb(
    variants {
      name: "plain"
      set { training { epochs: 1 } }
    }
    variants {
      name: "calibrated"
      baseline: "plain"
      set { training { epochs: 2 learning_rate: 0.01 compare_uncalibrated: true } }
    }
    seeds: 7
    seeds: 8
  )pb");
  return absl::StrReplaceAll(plan, {{"train_conversations: 4", "train_conversations: 20"},
                                    {"valid_conversations: 1", "valid_conversations: 9"}});
}

Ran RunPlan(const std::string& folder, const std::string& plan,
            const std::vector<std::string>& more) {
  WriteFile(folder + "/plan.textproto", plan);
  std::vector<std::string> args = {"experiment", "--config=plan.textproto", "--output=out/tiny"};
  args.insert(args.end(), more.begin(), more.end());
  Ran ran{folder, RunCmerc(args, folder), {}};
  if (std::filesystem::exists(folder + "/out/tiny/results.json")) {
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(
                    ReadFile(folder + "/out/tiny/results.json"), &ran.results)
                    .ok());
  }
  return ran;
}

}  // namespace cmerc
