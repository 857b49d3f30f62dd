// benchmarks/serving/soak.py in short: many kinds of clients at once, and models that are swapped
// meanwhile.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "tests/bin/cmerc_process.h"
#include "tests/end_to_end/predicting.h"
#include "tests/end_to_end/running_server.h"

namespace cmerc {
namespace {

class ServeSoakTest : public PredictFixture {
 protected:
  void SetUp() override {
    const char* given = std::getenv("CMERC_PYTHON");
    python_ = given == nullptr ? "/usr/bin/python3" : given;
    if (!std::filesystem::exists(python_)) GTEST_SKIP() << "there is no " << python_;
  }

  // In so few requests memory is no steady thing: only a leak of very much is found.
  Outcome Soak(const std::vector<std::string>& more) const {
    std::vector<std::string> args = {
        python_,
        std::filesystem::absolute("benchmarks/serving/soak.py"),
        std::filesystem::absolute("bin/cmerc"),
        "run/selected.pth",
        "test.jsonl",
        "--margin_mb=300",
    };
    args.insert(args.end(), more.begin(), more.end());
    Outcome outcome = Shell(*folder_, "exec \"$0\" \"$@\"", args);
    std::cout << outcome.out;
    return outcome;
  }

  std::string python_;
};

TEST_F(ServeSoakTest, ClientsOfEveryKindGetWhatTheyShould) {
  const Outcome outcome = Soak({"--requests=400", "--", "--workers=2"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(ServeSoakTest, SwappedModelsAnswerEveryRequest) {
  const Outcome trained = RunCmerc({"train", "--config=tiny.textproto", "--output=other",
                                    "--set=training { epochs: 1 seed: 9 }"},
                                   *folder_);
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const Outcome outcome = Soak({"--requests=300", "--swaps=5", "--other=other/selected.pth"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

}  // namespace
}  // namespace cmerc
