#include "storage/matching_options.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "backbones/m3net/m3net.pb.h"

namespace cmerc {
namespace {

M3NetOptions Parse(const std::string& text) {
  M3NetOptions options;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &options)) << text;
  return options;
}

// Each field that matters counts for one difference; a width of 13 cannot be made.
class MatchingOptionsTest : public testing::Test {
 protected:
  std::optional<size_t> Count(const google::protobuf::Message& message) {
    ++models_;
    const auto& tried = static_cast<const M3NetOptions&>(message);
    if (tried.graph_width() == 13) return std::nullopt;
    return size_t{tried.graph_width() != want_.graph_width()} +
           size_t{tried.hypergraph_layers() != want_.hypergraph_layers()} +
           size_t{tried.norm() != want_.norm()} +
           size_t{tried.use_residue() != want_.use_residue()};
  }
  std::string Find(const std::string& options, int most_models = 1000) {
    models_ = 0;
    return FindMatchingOptions(
        Parse(options), {13, 300}, most_models,
        [this](const google::protobuf::Message& message) { return Count(message); });
  }

  M3NetOptions want_ = Parse("graph_width: 300 hypergraph_layers: 1 norm: LN use_residue: true");
  int models_ = 0;
};

TEST_F(MatchingOptionsTest, OneField) {
  EXPECT_EQ(Find("graph_width: 300 hypergraph_layers: 1 norm: LN"), "use_residue: true");
  EXPECT_EQ(Find("graph_width: 300 hypergraph_layers: 1 use_residue: true"), "norm: LN");
  EXPECT_EQ(Find("graph_width: 300 norm: LN use_residue: true"), "hypergraph_layers: 1");
  EXPECT_EQ(Find("hypergraph_layers: 1 norm: LN use_residue: true"), "graph_width: 300");
}

TEST_F(MatchingOptionsTest, AllFieldsInTheOrderOfTheSchema) {
  EXPECT_EQ(Find(""), "graph_width: 300 hypergraph_layers: 1 norm: LN use_residue: true");
}

TEST_F(MatchingOptionsTest, NothingToChange) {
  EXPECT_EQ(Find("graph_width: 300 hypergraph_layers: 1 norm: LN use_residue: true"), "");
  EXPECT_EQ(models_, 1);
}

TEST_F(MatchingOptionsTest, NoWay) {
  want_.set_graph_width(301);
  EXPECT_EQ(Find("graph_width: 512"), "");
  // Not even a model to begin with.
  EXPECT_EQ(Find("graph_width: 13"), "");
  EXPECT_EQ(models_, 1);
}

TEST_F(MatchingOptionsTest, NoMoreModelsThanAllowed) {
  EXPECT_EQ(Find("", 25), "");
  EXPECT_EQ(models_, 26);  // the first one is not counted
}

}  // namespace
}  // namespace cmerc
