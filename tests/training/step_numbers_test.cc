#include "training/step_numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace cmerc {
namespace {

using testing::ElementsAre;

StepTensors Tensors() {
  StepTensors tensors;
  tensors.losses = {torch::tensor(0.1F), torch::tensor(-2.5F)};
  tensors.total = torch::tensor(1.75F).set_requires_grad(true);
  tensors.squares_of_buffers = torch::tensor(3e300, torch::kFloat64);
  tensors.squares_of_gradients = torch::tensor(0.3, torch::kFloat64);
  tensors.predicted = torch::tensor({4, 0, 2}, torch::kInt64);
  return tensors;
}

TEST(StepNumbersTest, ComeBackAsTheyWere) {
  const torch::Tensor encoded = Encode(Tensors());
  EXPECT_FALSE(encoded.requires_grad());
  const StepNumbers numbers = Decode(encoded, 2);
  EXPECT_THAT(numbers.losses, ElementsAre(double{0.1F}, -2.5));
  EXPECT_EQ(numbers.total, 1.75);
  EXPECT_EQ(numbers.squares_of_buffers, 3e300);
  EXPECT_EQ(numbers.squares_of_gradients, 0.3);
  EXPECT_THAT(numbers.predicted, ElementsAre(4, 0, 2));
}

TEST(StepNumbersTest, BeforeTheBackwardPassTheGradientsAre0) {
  StepTensors tensors = Tensors();
  tensors.squares_of_gradients.reset();
  tensors.total = torch::tensor(NAN);
  tensors.squares_of_buffers = torch::tensor(INFINITY, torch::kFloat64);
  const StepNumbers numbers = Decode(Encode(tensors), 2);
  EXPECT_TRUE(std::isnan(numbers.total));
  EXPECT_EQ(numbers.squares_of_buffers, INFINITY);
  EXPECT_EQ(numbers.squares_of_gradients, 0);
  EXPECT_THAT(numbers.predicted, ElementsAre(4, 0, 2));
}

}  // namespace
}  // namespace cmerc
