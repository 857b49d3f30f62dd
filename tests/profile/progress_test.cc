#include "profile/progress.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace cmerc {
namespace {

TEST(ProgressTest, ShortWorkWritesNothingOffATerminal) {
  testing::internal::CaptureStderr();  // a file
  ASSERT_EQ(isatty(STDERR_FILENO), 0);
  {
    Progress progress("epoch 1/2", 1000, "step");
    for (int64_t done = 1; done <= 1000; ++done) progress.Update(done, "loss 0.5");
  }
  {
    Progress none("nothing to do", 0, "step");
    none.Update(0, "");
  }
  {
    Progress endless("predict", Progress::kUnknown, "conversation");
    endless.Update(7, "");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace cmerc
