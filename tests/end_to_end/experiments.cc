#include "tests/end_to_end/experiments.h"

#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>

#include "absl/strings/match.h"
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

std::string TwoByTwo(int seeds, int epochs) {
  std::string plan =
      Plan(absl::StrCat(R"pb(
                          datasets {
                            name: "one"
                            set {
                              data {
                                dataset {
                                  [type.googleapis.com/cmerc.SyntheticOptions] { seed: 1 }
                                }
                              }
                            }
                          }
                          datasets {
                            name: "two"
                            set {
                              data {
                                dataset {
                                  [type.googleapis.com/cmerc.SyntheticOptions] { seed: 2 }
                                }
                              }
                            }
                          }
                          variants { name: "plain" }
                        )pb",
                        "variants { name: 'long' baseline: 'plain' set { training { "
                        "epochs: ",
                        epochs, " } } }\n"));
  for (int seed = 1; seed <= seeds; ++seed) absl::StrAppend(&plan, "seeds: ", seed, "\n");
  return plan;
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

std::map<std::string, std::string> ResultFiles(const std::string& folder) {
  std::map<std::string, std::string> files = Files(folder + "/out/tiny");
  for (auto it = files.begin(); it != files.end();) {
    const bool left_out =
        absl::EndsWith(it->first, "timing.jsonl") || absl::EndsWith(it->first, "train.log") ||
        absl::EndsWith(it->first, "/lock") || it->first == "cmerc_experiment.textproto";
    it = left_out ? files.erase(it) : std::next(it);
  }
  return files;
}

}  // namespace cmerc
