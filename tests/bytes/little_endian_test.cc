#include "bytes/little_endian.h"

#include <gtest/gtest.h>

#include <string>

namespace cmerc {
namespace {

TEST(LittleEndianTest, TheLowestByteIsFirst) {
  std::string bytes = "x";
  AppendLittleEndian(0x80FF01, 3, &bytes);
  EXPECT_EQ(bytes, "x\x01\xFF\x80");
  EXPECT_EQ(ReadLittleEndian(bytes, 1, 3), 0x80FF01u);
  EXPECT_EQ(ReadLittleEndian(bytes, 2, 1), 0xFFu);
}

TEST(LittleEndianTest, EightBytesAndTheLowestOfMore) {
  const uint64_t number = 0xFEDCBA9876543210u;
  std::string bytes;
  AppendLittleEndian(number, 8, &bytes);
  AppendLittleEndian(number, 2, &bytes);
  ASSERT_EQ(bytes.size(), 10u);
  EXPECT_EQ(ReadLittleEndian(bytes, 0, 8), number);
  EXPECT_EQ(ReadLittleEndian(bytes, 8, 2), 0x3210u);
}

}  // namespace
}  // namespace cmerc
