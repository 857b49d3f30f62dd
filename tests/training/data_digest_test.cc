#include "training/data_digest.h"

#include <gtest/gtest.h>

#include <functional>

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

}  // namespace
}  // namespace cmerc
