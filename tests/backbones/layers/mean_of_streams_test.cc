#include "backbones/layers/mean_of_streams.h"

#include <gtest/gtest.h>

namespace cmerc {
namespace {

using torch::Tensor;

TEST(MeanOfStreamsTest, IsTheMean) {
  const Tensor a = torch::tensor({{{1.0F, 2.0F}}}), b = torch::tensor({{{3.0F, -2.0F}}});
  EXPECT_TRUE(torch::equal(MeanOfStreams({a}), a));
  EXPECT_TRUE(torch::equal(MeanOfStreams({a, b}), torch::tensor({{{2.0F, 0.0F}}})));
  EXPECT_TRUE(torch::equal(MeanOfStreams({a, b, b, a}), torch::tensor({{{2.0F, 0.0F}}})));
}

TEST(MeanOfStreamsTest, ModalitiesAreSideBySideInTheirOrder) {
  const Tensor text = torch::full({2, 3, 2}, 4.0F), more_text = torch::full({2, 3, 2}, 6.0F);
  const Tensor audio = torch::full({2, 3, 1}, 7.0F);
  const Tensor means = MeansSideBySide({{"text", {text, more_text}}, {"audio", {audio}}});
  EXPECT_TRUE(torch::equal(means, torch::tensor({5.0F, 5.0F, 7.0F}).expand({2, 3, 3})));

  DatasetInfo info;
  info.modalities = {{"text", 2, 2}, {"audio", 1, 1}};
  EXPECT_EQ(WidthSideBySide(info), means.size(2));
}

}  // namespace
}  // namespace cmerc
