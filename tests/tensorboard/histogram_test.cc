#include "tensorboard/histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

namespace cmerc {
namespace {

// The bucket that counts `value`: the first with a limit above it.
double CountAround(const tensorboard::Histogram& histogram, double value) {
  for (int i = 0; i < histogram.bucket_limit_size(); ++i) {
    if (value < histogram.bucket_limit(i)) return histogram.bucket(i);
  }
  return -1;
}

TEST(MakeHistogramTest, MomentsAreThoseOfTheValues) {
  const tensorboard::Histogram histogram = MakeHistogram({-1.0f, 0.5f, 2.0f, 0.5f});
  EXPECT_EQ(histogram.min(), -1);
  EXPECT_EQ(histogram.max(), 2);
  EXPECT_EQ(histogram.num(), 4);
  EXPECT_EQ(histogram.sum(), 2);
  EXPECT_EQ(histogram.sum_squares(), 5.5);
}

TEST(MakeHistogramTest, EveryValueIsInItsBucket) {
  const float largest = std::numeric_limits<float>::max();
  const std::vector<float> values = {-largest, -1,   -1e-30f, 0,     0,
                                     1e-30f,   0.1f, 0.1f,    1e20f, largest};
  const tensorboard::Histogram histogram = MakeHistogram(values);
  ASSERT_EQ(histogram.bucket_size(), histogram.bucket_limit_size());
  EXPECT_TRUE(std::is_sorted(histogram.bucket_limit().begin(), histogram.bucket_limit().end()));
  EXPECT_EQ(std::accumulate(histogram.bucket().begin(), histogram.bucket().end(), 0.0), 10);
  EXPECT_EQ(CountAround(histogram, -largest), 1);
  EXPECT_EQ(CountAround(histogram, -1), 1);
  EXPECT_EQ(CountAround(histogram, -1e-30), 1);
  // The bucket from 0 to 1e-12.
  EXPECT_EQ(CountAround(histogram, 0), 3);
  EXPECT_EQ(CountAround(histogram, 0.1f), 2);
  EXPECT_EQ(CountAround(histogram, 1e20f), 2);
  EXPECT_EQ(CountAround(histogram, 0.5), 0);
}

TEST(MakeHistogramTest, RunsOfEmptyBucketsAreOne) {
  const tensorboard::Histogram histogram = MakeHistogram({1.0f});
  // All below, the bucket of 1, all above.
  ASSERT_EQ(histogram.bucket_size(), 3);
  EXPECT_EQ(histogram.bucket(1), 1);
  EXPECT_LE(histogram.bucket_limit(0), 1);
  EXPECT_GT(histogram.bucket_limit(1), 1);
  // TensorFlow's limits grow by a tenth.
  EXPECT_NEAR(histogram.bucket_limit(1) / histogram.bucket_limit(0), 1.1, 1e-12);
  EXPECT_EQ(histogram.bucket_limit(2), std::numeric_limits<double>::max());
}

}  // namespace
}  // namespace cmerc
