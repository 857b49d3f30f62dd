#include "training/step_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "profile/scope.h"
#include "tests/training/trained_run.h"

namespace cmerc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(StepProfileTest, RecordsEightStepsAfterTheFirst) {
  StepProfile profile;
  const char* const names[] = {"step A", "step B", "step C", "step D", "step E",
                               "step F", "step G", "step H", "step I", "step J"};
  for (int64_t step = 0; step < 10; ++step) {
    profile.BeforeStep(step);
    const ProfileScope scope(names[step]);
  }
  const std::string folder = Folder("profile");
  testing::internal::CaptureStdout();
  const absl::Status status = profile.Report(10, folder);
  const std::string printed = testing::internal::GetCapturedStdout();
  ASSERT_TRUE(status.ok()) << status;
  const auto recorded = AllOf(HasSubstr("step B"), HasSubstr("step I"), Not(HasSubstr("step A")),
                              Not(HasSubstr("step J")));
  EXPECT_THAT(printed, recorded);
  EXPECT_THAT(Bytes(folder + "/trace.json"), recorded);
}

TEST(StepProfileTest, AnEpochOfOneStepHasNothingToRecord) {
  StepProfile profile;
  profile.BeforeStep(0);
  const absl::Status status = profile.Report(1, Folder("one_step"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("training.batch_size"));
}

}  // namespace
}  // namespace cmerc
