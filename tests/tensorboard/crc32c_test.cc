#include "tensorboard/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace cmerc {
namespace {

// RFC 3720, appendix B.4 (its bytes are the checksum in little-endian order).
TEST(Crc32cTest, VectorsOfRfc3720) {
  std::string ascending, descending;
  for (int i = 0; i < 32; ++i) {
    ascending.push_back(static_cast<char>(i));
    descending.push_back(static_cast<char>(31 - i));
  }
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(Crc32c(ascending), 0x46DD794Eu);
  EXPECT_EQ(Crc32c(descending), 0x113FDB5Cu);
  const unsigned char read_command[48] = {
      0x01, 0xC0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
      0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0,    0};
  EXPECT_EQ(Crc32c(std::string(read_command, read_command + 48)), 0xD9963A56u);
}

TEST(Crc32cTest, OfNothingAndOfTheUsualCheck) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
}

// Rotated right by 15 bits, plus a constant, modulo 2^32.
TEST(MaskedCrc32cTest, OfNothing) { EXPECT_EQ(MaskedCrc32c(""), 0xA282EAD8u); }

}  // namespace
}  // namespace cmerc
