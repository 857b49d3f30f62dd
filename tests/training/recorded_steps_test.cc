// Recorded steps on the device for tests, whose recorder does the work again at every replay. What
// a real one could not record, it finds: waits and copies.
#include "training/recorded_steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "calibration/weighted_losses.h"
#include "storage/module_state.h"
#include "storage/trained_backbone.h"
#include "tests/host_device/host_device.h"
#include "tests/training/tiny_run.h"
#include "training/adam.h"
#include "training/train_step.h"
#include "training/trainer.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kContrastive[] = R"pb(
  losses {
    weight: 0.1
    loss {
      [type.googleapis.com/cmerc.MsclOptions] { semantics: OFFICIAL }
    }
  }
)pb";

class RecordedStepsTest : public testing::Test {
 protected:
  class DoneAgain final : public WorkGraph {
   public:
    DoneAgain(const std::function<void()>& work, std::vector<std::string>* did)
        : work_(work), did_(did) {}
    void Replay() override {
      did_->push_back("replay");
      ResetWaits();
      work_();
      EXPECT_EQ(Waits(), 0) << absl::StrJoin(WaitingOperators(), ", ");
      EXPECT_EQ(CopiesFromCpu(), 0);
    }

   private:
    const std::function<void()> work_;
    std::vector<std::string>* const did_;
  };

  // Models, optimizer and losses of a run on the device.
  struct Run {
    explicit Run(const RecordedStepsTest& test)
        : live(*MakeBackbone(test.config, test.data.info)),
          snapshot(*MakeBackbone(test.config, test.data.info)),
          optimizer((live->to(HostDevice()), live->parameters()), torch::optim::AdamOptions(0.01)),
          losses(*MakeLosses(test.config, test.data.info)) {
      snapshot->to(HostDevice());
      live->train();
    }

    StepContext Context(const RunConfig& config) {
      return {*live, *snapshot, optimizer, losses, config.calibration(), config.training()};
    }

    std::shared_ptr<Backbone> live, snapshot;
    Adam optimizer;
    std::vector<WeightedLoss> losses;
  };

  RecordedStepsTest()
      : config(Config(absl::StrCat(kTask, kRanking, kContrastive))), data(Prepare(config)) {
    data.device = HostDevice();
  }

  RecordedSteps Recorded(Run& run) {
    return RecordedSteps(run.Context(config),
                         [&](const torch::Device& device, const std::function<void()>& work) {
                           EXPECT_EQ(device, HostDevice());
                           did.emplace_back("record");
                           return std::make_unique<DoneAgain>(work, &did);
                         });
  }

  const RunConfig config;
  PreparedData data;
  std::vector<std::string> did;
};

TEST_F(RecordedStepsTest, AreTheSameSteps) {
  Run plain(*this), recorded(*this);
  RecordedSteps steps = Recorded(recorded);
  const std::vector<std::vector<int64_t>> batches = {{0, 1}, {2, 3}};
  for (uint64_t epoch = 0; epoch < 4; ++epoch) {
    for (Run* run : {&plain, &recorded}) {
      torch::manual_seed(epoch);  // dropout
      CopyState(*run->live, *run->snapshot);
      for (const std::vector<int64_t>& chosen : batches) {
        const Batch batch = run == &plain || epoch == 0 ? data.MakeBatch(chosen).value() : Batch();
        const absl::StatusOr<ComputedStep> computed =
            run == &plain ? ComputeStep(run->Context(config), batch) : steps.Compute(chosen, batch);
        ASSERT_TRUE(computed.ok()) << computed.status();
        const auto report = FinishStep(run->Context(config), *computed);
        ASSERT_TRUE(report.ok()) << report.status();
      }
    }
  }
  EXPECT_THAT(did, ElementsAre("record", "replay", "record", "replay", "replay", "replay", "replay",
                               "replay"));
  const StateDict expected = StateOf(*plain.live);
  for (const auto& [name, tensor] : StateOf(*recorded.live)) {
    EXPECT_TRUE(tensor.cpu().equal(expected.at(name).cpu())) << name;
  }
}

TEST_F(RecordedStepsTest, ForgetsWhatDoesNotComeAgain) {
  Run run(*this);
  RecordedSteps steps = Recorded(run);
  ASSERT_TRUE(steps.Compute({0, 1}, data.MakeBatch({0, 1}).value()).ok());
  steps.EndEpoch();
  EXPECT_TRUE(steps.Knows({0, 1}));
  EXPECT_FALSE(steps.Knows({1, 0}));
  ASSERT_TRUE(steps.Compute({1, 0}, data.MakeBatch({1, 0}).value()).ok());
  steps.EndEpoch();
  EXPECT_FALSE(steps.Knows({0, 1}));
  EXPECT_TRUE(steps.Knows({1, 0}));
}

TEST_F(RecordedStepsTest, SaysWhatToDoWhereNothingCanBeRecorded) {
  Run run(*this);
  RecordedSteps steps(
      run.Context(config),
      [](const torch::Device&, const std::function<void()>&) -> std::unique_ptr<WorkGraph> {
        TORCH_CHECK(false, "something waits");
      });
  ASSERT_TRUE(steps.Compute({0}, data.MakeBatch({0}).value()).ok());
  const absl::Status status = steps.Compute({0}, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(HasSubstr("training.cuda_graphs: "), HasSubstr("something waits"),
                             HasSubstr("leave cuda_graphs out")));
}

}  // namespace
}  // namespace cmerc
