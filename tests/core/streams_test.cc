#include "core/streams.h"

#include <gtest/gtest.h>

namespace cmerc {
namespace {

using torch::Tensor;

TEST(StreamsTest, OneTensorNextToItselfIsTheSame) {
  const Tensor a = torch::ones({2, 3});
  const std::vector<Tensor> streams = {a, a, a.clone(), a};
  EXPECT_FALSE(IsSameAsPrevious(streams, 0));
  EXPECT_TRUE(IsSameAsPrevious(streams, 1));
  EXPECT_FALSE(IsSameAsPrevious(streams, 2)) << "a copy";
  EXPECT_FALSE(IsSameAsPrevious(streams, 3)) << "the stream before is another";
}

TEST(StreamsTest, WhatWasOneTensorStaysOne) {
  const Tensor a = torch::ones({2}), b = torch::zeros({2});
  int calls = 0;
  const std::vector<Tensor> results = MapStreams({a, a, b, b, b, a}, [&](const Tensor& stream) {
    ++calls;
    return stream + 1;
  });
  EXPECT_EQ(calls, 3);
  ASSERT_EQ(results.size(), 6U);
  EXPECT_TRUE(results[1].is_same(results[0]));
  EXPECT_TRUE(results[4].is_same(results[2]));
  EXPECT_FALSE(results[5].is_same(results[0]));
  EXPECT_TRUE(torch::equal(results[0], a + 1));
  EXPECT_TRUE(torch::equal(results[3], b + 1));
  EXPECT_TRUE(torch::equal(results[5], a + 1));
}

}  // namespace
}  // namespace cmerc
