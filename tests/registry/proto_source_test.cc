#include "registry/proto_source.h"

#include <gtest/gtest.h>

namespace cmerc {
namespace {

const ProtoSource kSource("a/b.proto", "// Text.");

TEST(ProtoSourceTest, KeepsTextByPath) {
  ASSERT_EQ(ProtoSources().count("a/b.proto"), 1u);
  EXPECT_STREQ(ProtoSources().at("a/b.proto"), "// Text.");
  EXPECT_EQ(ProtoSources().count("b.proto"), 0u);
}

}  // namespace
}  // namespace cmerc
