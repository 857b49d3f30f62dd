// config/examples/fine_tune.textproto: a model of one corpus becomes that of another, with most
// options of the trainer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bin/cmerc_process.h"
#include "tests/end_to_end/reports.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

Outcome Train(const std::string& folder, const std::string& example,
              const std::vector<std::string>& more) {
  std::vector<std::string> args = {
      "train", absl::StrCat("--config=", std::filesystem::absolute("config/examples").string(), "/",
                            example, ".textproto")};
  args.insert(args.end(), more.begin(), more.end());
  return RunCmerc(args, folder);
}

TEST(FineTuneTest, StartsWithTheModelOfTheQuickStart) {
  const std::string folder = NewFolder();
  // Before there is one.
  const Outcome missing = Train(folder, "fine_tune", {});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.err, HasSubstr("training.init_checkpoint: runs/quickstart/selected.pth: No "
                                     "such file or directory"));
  const Outcome first = Train(folder, "quickstart", {"--set=training.epochs=1"});
  ASSERT_EQ(first.exit_code, 0) << first.err;

  const Outcome tuned = Train(folder, "fine_tune", {"--set=training.epochs=3", "--tensorboard"});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_EQ(tuned.err, "");
  EXPECT_THAT(
      tuned.out,
      AllOf(HasSubstr("; * marks the highest macro F1 on valid so far"),
            HasSubstr("tensors of runs/quickstart/selected.pth (epoch 1); as the seed draws them: "
                      "smax_fc.bias, smax_fc.weight; unused: smax_fc.bias, smax_fc.weight\n"),
            HasSubstr("  macro F1 0."), HasSubstr("  rate 0.000"),
            HasSubstr(", selected by macro F1, protocol HELD_OUT")));
  const std::string run = folder + "/runs/fine_tune";
  const RunSummary summary = ReadSummary(run);
  EXPECT_EQ(summary.selected_by().value(), "macro F1");
  EXPECT_THAT(summary.start().fresh(), ElementsAre("smax_fc.bias", "smax_fc.weight"));
  const std::vector<EpochReport> epochs = ReadMetrics(run);
  ASSERT_EQ(epochs.size(), 3u);
  // Two epochs of two steps of warm-up to 5e-4, and then the first half of the last epoch's cosine.
  EXPECT_NEAR(epochs[0].learning_rate().value(), 2.5e-4, 1e-12);
  EXPECT_NEAR(epochs[1].learning_rate().value(), 5e-4, 1e-12);
  EXPECT_NEAR(epochs[2].learning_rate().value(), 2.5e-4, 1e-12);
  size_t best = 0;
  for (size_t e = 1; e < epochs.size(); ++e) {
    if (epochs[e].valid().macro_f1() > epochs[best].valid().macro_f1()) best = e;
  }
  EXPECT_EQ(summary.selected_epoch(), static_cast<int>(best) + 1);
  EXPECT_EQ(summary.valid().macro_f1(), epochs[best].valid().macro_f1());

  const Outcome report = RunCmerc({"report", "runs/fine_tune", "--output=report.html"}, folder);
  EXPECT_EQ(report.exit_code, 0) << report.err;
  EXPECT_THAT(ReadFile(folder + "/report.html"),
              AllOf(HasSubstr("; selected by macro F1"), HasSubstr("Learning rate"),
                    HasSubstr("runs/quickstart/selected.pth, epoch 1: ")));
  // The saved average is a model like any other.
  const Outcome scored =
      RunCmerc({"evaluate", "--checkpoint=runs/fine_tune/selected.pth", "--output=s.json"}, folder);
  EXPECT_EQ(scored.exit_code, 0) << scored.err;
  EXPECT_EQ(ReadEvaluation(folder + "/s.json").scores().weighted_f1(),
            summary.test().weighted_f1());
}

TEST(FineTuneTest, StopsEarlyAndSaysSo) {
  const std::string folder = NewFolder();
  const Outcome first = Train(folder, "quickstart", {"--set=training.epochs=1"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  // Steps that move next to nothing, of which no epoch gains: at most a few.
  const Outcome tuned = Train(folder, "fine_tune",
                              {"--set", "training.patience=1", "training.epochs=30",
                               "training.learning_rate=1e-12", "training.weight_decay=0"});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  const RunSummary summary = ReadSummary(folder + "/runs/fine_tune");
  ASSERT_TRUE(summary.has_stopped_early());
  EXPECT_EQ(summary.stopped_early().value(), summary.selected_epoch() + 1);
  EXPECT_THAT(tuned.out,
              AllOf(HasSubstr(absl::StrCat("stops early: 1 epoch without a better macro F1 than "
                                           "epoch ",
                                           summary.selected_epoch(), " has on valid\n")),
                    HasSubstr(absl::StrCat(" of ", summary.stopped_early().value(),
                                           " (stopped early, at most 30)"))));
}

}  // namespace
}  // namespace cmerc
