#include "bin/shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

namespace cmerc {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(ShardTest, TogetherTheyAreAllAndEachOnlyOnce) {
  for (const int64_t size : {0, 1, 7, 16, 17, 1000}) {
    for (const int64_t batch_size : {1, 3, 16}) {
      for (const int64_t count : {1, 2, 5, 64}) {
        int64_t end = 0;
        int64_t most = 0;
        int64_t least = size;
        for (int64_t index = 1; index <= count; ++index) {
          const Shard::Range range = Shard{index, count}.Of(size, batch_size);
          EXPECT_EQ(range.begin, end);
          // The batches are those of one process.
          EXPECT_TRUE(range.begin % batch_size == 0 || range.size() == 0);
          EXPECT_GE(range.size(), 0);
          most = std::max(most, range.size());
          least = std::min(least, range.size());
          end = range.end;
        }
        EXPECT_EQ(end, size);
        EXPECT_LE(most - least, 2 * batch_size - 1) << "one batch, and a last one that is not full";
      }
    }
  }
}

TEST(ShardTest, IsReadFromAFlag) {
  const absl::StatusOr<Shard> shard = Shard::Parse("3/8");
  ASSERT_TRUE(shard.ok()) << shard.status();
  EXPECT_EQ(shard->index, 3);
  EXPECT_EQ(shard->count, 8);
  for (const char* wrong : {"3/2", "0/4", "0/0", "x/y", "1", "1/", "/2", "1/2/3", "-1/2", "1.5/2",
                            "1/9999999", "99999999999999999999/2"}) {
    const absl::Status status = Shard::Parse(wrong).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wrong;
    EXPECT_THAT(std::string(status.message()),
                StartsWith(std::string("--shard=") + wrong + ", must be I/N"));
    EXPECT_THAT(status.message(), HasSubstr("from 1 to N"));
  }
}

}  // namespace
}  // namespace cmerc
