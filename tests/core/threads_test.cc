#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace cmerc {
namespace {

using testing::ElementsAre;

// at::parallel_for() is an inline function: compiled without OpenMP it runs on one thread, and
// says nothing.
TEST(ThreadsTest, OurOwnLoopsRunOnAllThreads) {
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  std::vector<int> thread_of(3, -1);
  at::parallel_for(0, 3, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) thread_of[i] = at::get_thread_num();
  });
  at::set_num_threads(before);
  EXPECT_THAT(thread_of, ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace cmerc
