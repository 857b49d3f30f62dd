#include "bytes/npy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/bytes/packed.h"

namespace cmerc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string WithHeader(const std::string& text) {
  std::string npy("\x93NUMPY\x01\x00", 8);
  npy.push_back(static_cast<char>(text.size()));
  npy.push_back('\0');
  return npy + text;
}

std::string ProblemOf(const std::string& npy) {
  const absl::StatusOr<NpyHeader> header = ParseNpyHeader(npy);
  return header.ok() ? "" : std::string(header.status().message());
}

TEST(NpyTest, ReadsHeaders) {
  // The keys in another order, and a size of Python 2.
  const NpyHeader header =
      ParseNpyHeader(WithHeader("{'shape': (2L, 30),'fortran_order':True,  \"descr\": '>f8'} \n"))
          .value();
  EXPECT_EQ(header.kind, 'f');
  EXPECT_EQ(header.item_size, 8);
  EXPECT_TRUE(header.big_endian);
  EXPECT_TRUE(header.fortran_order);
  EXPECT_THAT(header.shape, ElementsAre(2, 30));
  EXPECT_EQ(header.num_elements, 60);
  EXPECT_EQ(header.Describe(), "float64 array of shape [2, 30]");
  const NpyHeader scalar = ParseNpyHeader(Npy("<U5", "()", "")).value();
  EXPECT_THAT(scalar.shape, IsEmpty());
  EXPECT_EQ(scalar.num_elements, 1);
  EXPECT_EQ(scalar.item_size, 20);
  EXPECT_EQ(ParseNpyHeader(Npy("<M8[ns]", "(3,)", "")).value().Describe(),
            "dtype M8 array of shape [3]");
}

TEST(NpyTest, RefusesHeadersThatAreNone) {
  const std::string good = Npy("<f4", "(2, 3)", "");
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(ProblemOf(good.substr(0, size)), "") << size;
  }
  EXPECT_EQ(ProblemOf(good), "");
  for (const char* text :
       {"", "{}", "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2 3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': 'f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4x', 'fortran_order': False, 'shape': ()}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()} more"}) {
    EXPECT_THAT(ProblemOf(WithHeader(text)), HasSubstr("has the header ")) << text;
  }
  EXPECT_THAT(ProblemOf(Npy("<f4", "(4000000000, 4000000000)", "")), HasSubstr("more than any"));
  EXPECT_THAT(ProblemOf("\x93NUMPY\x04" + std::string(20, '\0')), HasSubstr("of version 4"));
}

TEST(NpyTest, CopiesWhatIsThere) {
  const std::string npy = Npy("<i4", "(3,)", BytesOf<int32_t>({7, -1, 3}));
  const NpyHeader header = ParseNpyHeader(npy).value();
  std::vector<int64_t> integers(3);
  ASSERT_TRUE(CopyNpy(npy, header, absl::MakeSpan(integers)).ok());
  EXPECT_THAT(integers, ElementsAre(7, -1, 3));
  EXPECT_THAT(CopyNpy(npy.substr(0, npy.size() - 1), header, absl::MakeSpan(integers)).message(),
              HasSubstr("has 11 bytes of elements, want 12 for int32 array of shape [3]"));
  const std::string reals = Npy("<f8", "(1,)", BytesOf<double>({0.5}));
  EXPECT_THAT(
      CopyNpy(reals, ParseNpyHeader(reals).value(), absl::MakeSpan(integers).first(1)).message(),
      HasSubstr("with others than integers of 64 bits"));
}

}  // namespace
}  // namespace cmerc
