#include "bytes/crc32.h"

#include <gtest/gtest.h>

namespace cmerc {
namespace {

// The check value that every list of CRCs gives.
TEST(Crc32Test, OfNothingAndOfTheUsualCheck) {
  EXPECT_EQ(Crc32(""), 0u);
  EXPECT_EQ(Crc32("123456789"), 0xCBF43926u);
}

TEST(Crc32Test, InPieces) {
  EXPECT_EQ(Crc32("6789", Crc32("12345")), 0xCBF43926u);
  EXPECT_EQ(Crc32("", Crc32("123456789")), 0xCBF43926u);
}

}  // namespace
}  // namespace cmerc
