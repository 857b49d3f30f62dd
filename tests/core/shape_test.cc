#include "core/shape.h"

#include <gtest/gtest.h>

namespace cmerc {
namespace {

TEST(ShapeStringTest, AxesInBrackets) {
  EXPECT_EQ(ShapeString({}), "[]");
  EXPECT_EQ(ShapeString({3}), "[3]");
  EXPECT_EQ(ShapeString({2, 0, 7}), "[2, 0, 7]");
}

}  // namespace
}  // namespace cmerc
