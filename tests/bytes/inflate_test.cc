#include "bytes/inflate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/bytes/packed.h"

namespace cmerc {
namespace {

using testing::HasSubstr;

// Bytes that compress a little, more of them than any buffer has.
std::string Text(size_t size) {
  std::minstd_rand random(1);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>('a' + random() % 7);
  return text;
}

std::string ProblemOf(const std::string& file) {
  const absl::StatusOr<std::string> bytes = Inflate(file);
  return bytes.ok() ? "" : std::string(bytes.status().message());
}

// What a stream gives, and then the message of its error, if any.
std::string Stream(const std::string& file, std::string* problem) {
  std::istringstream in(file);
  InflatingBuffer buffer(in, file.size());
  std::istream out(&buffer);
  std::ostringstream all;
  all << out.rdbuf();
  *problem = std::string(buffer.status().message());
  return all.str();
}

TEST(InflateTest, OpensGzipAndZlib) {
  for (const size_t size : {0, 1, 65535, 65536, 65537, 1000000}) {
    const std::string text = Text(size);
    for (const std::string& file : {Gzip(text), Zlib(text), Gzip(text) + std::string(512, '\0'),
                                    Gzip(text.substr(0, size / 3)) + Gzip(text.substr(size / 3))}) {
      const absl::StatusOr<std::string> bytes = Inflate(file);
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      EXPECT_TRUE(*bytes == text) << size;
      std::string problem;
      EXPECT_TRUE(Stream(file, &problem) == text) << size;
      EXPECT_EQ(problem, "");
    }
    EXPECT_TRUE(InflateRaw(Deflate(text), size).value() == text);
    EXPECT_TRUE(InflatedHead(Deflate(text), 100) == text.substr(0, 100));
  }
}

TEST(InflateTest, RefusesWhatIsDamaged) {
  const std::string text = Text(200000);
  for (const std::string& file : {Gzip(text), Zlib(text)}) {
    for (const size_t size : {size_t{3}, size_t{20}, file.size() / 2, file.size() - 1}) {
      EXPECT_THAT(ProblemOf(file.substr(0, size)), HasSubstr("is compressed and cut short"));
      std::string problem;
      Stream(file.substr(0, size), &problem);
      EXPECT_THAT(problem, HasSubstr("is compressed and cut short")) << size;
    }
    std::string damaged = file;
    damaged[file.size() - 3] ^= 1;  // of the checksum or the length
    EXPECT_THAT(ProblemOf(damaged), HasSubstr("is compressed and damaged (incorrect "));
    std::string problem;
    Stream(damaged, &problem);
    EXPECT_THAT(problem, HasSubstr("is compressed and damaged (incorrect "));
  }
  EXPECT_THAT(ProblemOf(Gzip(text) + "more"), HasSubstr("is compressed and damaged"));
  EXPECT_THAT(ProblemOf(Zlib(text) + "more"), HasSubstr("4 bytes of something else follow"));
  EXPECT_THAT(InflateRaw(Deflate(text), 199999).status().message(),
              HasSubstr("does not hold the 199999 bytes"));
  EXPECT_THAT(InflateRaw(Deflate(text), 200001).status().message(),
              HasSubstr("does not hold the 200001 bytes"));
  EXPECT_THAT(InflateRaw("abc", uint64_t{1} << 40).status().message(),
              HasSubstr("claims to hold 1099511627776 bytes in 3 compressed ones"));
}

TEST(InflateTest, RefusesBombs) {
  EXPECT_EQ(MostInflated(10), 640 + (16 << 20));
  // 20 MiB in 20 KiB.
  const std::string bomb(20 << 20, '\0');
  for (const std::string& file : {Gzip(bomb), Zlib(bomb)}) {
    const std::string says =
        absl::StrCat("opens to more than ", MostInflated(file.size()),
                     " bytes, 64 times its own size and 16 MiB; if that is right, unpack it first");
    EXPECT_EQ(ProblemOf(file), says);
    std::string problem;
    EXPECT_LE(Stream(file, &problem).size(), MostInflated(file.size()));
    EXPECT_EQ(problem, says);
  }
  const std::string most(MostInflated(0) - 4096, '\0');
  EXPECT_TRUE(Inflate(Gzip(most)).value() == most);
}

}  // namespace
}  // namespace cmerc
