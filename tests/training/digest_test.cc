#include "training/digest.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/calibration/stub.h"

namespace cmerc {
namespace {

PreparedData Data() {
  torch::manual_seed(5);
  PreparedData data;
  data.info = StubInfo();
  for (int i = 0; i < 3; ++i) {
    data.conversations.push_back(RandomConversation(absl::StrCat("c", i), 2 + i));
  }
  data.train = {0, 1};
  data.test = {2};
  return data;
}

TEST(DataDigestTest, EqualDataHasEqualDigests) {
  EXPECT_EQ(DataDigest(Data()), DataDigest(Data()));
}

TEST(DataDigestTest, EveryChangeCounts) {
  const std::vector<std::function<void(PreparedData&)>> changes = {
      [](PreparedData& data) {
        data.train = {1, 0};
      },
      [](PreparedData& data) { data.valid = {1}, data.train = {0}; },
      [](PreparedData& data) { data.conversations[1].id = "c7"; },
      [](PreparedData& data) { data.conversations[2].labels[0] += 1; },
      [](PreparedData& data) {
        data.conversations[2].present = torch::ones({4, 2}, torch::kBool);
      },
      [](PreparedData& data) { data.conversations[2].speakers[1] += 1; },
      [](PreparedData& data) { data.conversations[0].features[1][0][1][0] += 1; },
      [](PreparedData& data) {
        torch::Tensor& stream = data.conversations[0].features[0][0];
        stream = stream.view({1, stream.size(0), stream.size(1)});
      }};
  for (size_t i = 0; i < changes.size(); ++i) {
    PreparedData data = Data();
    changes[i](data);
    EXPECT_NE(DataDigest(data), DataDigest(Data())) << "change " << i;
  }
}

TEST(WeightsDigestTest, EveryChangeCounts) {
  const auto weights = [] {
    torch::manual_seed(3);
    return StateDict{{"a", torch::rand({2, 3})}, {"b", torch::rand({5})}, {"c", torch::zeros({})}};
  };
  EXPECT_EQ(WeightsDigest(weights()), WeightsDigest(weights()));
  const std::vector<std::function<void(StateDict&)>> changes = {
      [](StateDict& state) { state.erase("c"); },
      [](StateDict& state) { state["d"] = state["c"]; },
      [](StateDict& state) { state["a"][1][2] += 1e-3; },
      [](StateDict& state) { state["b"][4] = -state["b"][4]; },
      [](StateDict& state) {
        state["a"] = state["a"].view({3, 2});
      },
      [](StateDict& state) { state["c"] = state["c"].to(torch::kFloat64); },
      [](StateDict& state) { state["c"] = -state["c"]; },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    StateDict state = weights();
    changes[i](state);
    EXPECT_NE(WeightsDigest(state), WeightsDigest(weights())) << "change " << i;
  }
}

}  // namespace
}  // namespace cmerc
