#include "backbones/layers/dropout.h"

#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstring>
#include <limits>
#include <mutex>
#include <vector>

#include "backbones/layers/copies.h"

namespace cmerc {
namespace {

using torch::Tensor;

// The default generator's whole state, as bytes.
Tensor GeneratorState() {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}

void SetGeneratorState(const Tensor& state) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
}

// Equal as bits: -0 is not 0, and NaN is itself.
bool SameBits(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
         (a.numel() == 0 ||
          std::memcmp(a.contiguous().data_ptr(), b.contiguous().data_ptr(), a.nbytes()) == 0);
}

// Shapes around the 624 words of the generator's state and the blocks that are drawn at a time.
const std::vector<std::vector<int64_t>> kShapes = {
    {1}, {3}, {7, 5}, {311}, {312}, {313}, {2, 3, 4}, {1023}, {1024}, {1025}, {40, 127}, {3, 2049}};

TEST(DropoutTest, MasksGradientsAndGeneratorAreLibTorchs) {
  torch::manual_seed(1);
  for (const double p : {0.1, 0.3, 0.4, 0.5, 0.75, 0.999, 1e-17}) {
    for (const std::vector<int64_t>& shape : kShapes) {
      SCOPED_TRACE(testing::Message() << "p = " << p << ", " << torch::IntArrayRef(shape));
      const Tensor x = torch::randn(shape).requires_grad_();
      const Tensor factor = torch::randn(shape);
      const Tensor before = GeneratorState();
      const Tensor want = torch::dropout(x, p, true);
      const Tensor want_gradient = torch::autograd::grad({(want * factor).sum()}, {x})[0];
      const Tensor after = GeneratorState();
      SetGeneratorState(before);
      const Tensor got = Dropout(x, p, true);
      const Tensor got_gradient = torch::autograd::grad({(got * factor).sum()}, {x})[0];
      EXPECT_TRUE(SameBits(got, want));
      EXPECT_TRUE(SameBits(got_gradient, want_gradient));
      EXPECT_TRUE(SameBits(GeneratorState(), after));
    }
  }
}

TEST(DropoutTest, OneWordOfTheGeneratorMayBeUsedAlready) {
  torch::manual_seed(2);
  const Tensor x = torch::randn({1000});
  // A single-precision uniform number takes one word, so that pairs of words straddle a refill.
  torch::empty({1}).uniform_();
  const Tensor before = GeneratorState();
  const Tensor want = torch::dropout(x, 0.5, true);
  const Tensor after = GeneratorState();
  SetGeneratorState(before);
  EXPECT_TRUE(SameBits(Dropout(x, 0.5, true), want));
  EXPECT_TRUE(SameBits(GeneratorState(), after));
}

TEST(DropoutTest, InfinitiesAndZerosAreLibTorchs) {
  torch::manual_seed(3);
  const float infinity = std::numeric_limits<float>::infinity();
  const Tensor x = torch::tensor({0.0F, -0.0F, infinity, -infinity, -1.0F, 1e38F}).repeat({100});
  const Tensor before = GeneratorState();
  const Tensor want = torch::dropout(x, 0.5, true);
  SetGeneratorState(before);
  const Tensor got = Dropout(x, 0.5, true);
  EXPECT_TRUE(got.isnan().equal(want.isnan()));  // 0 times infinity: which NaN is nobody's promise
  EXPECT_TRUE(SameBits(got.nan_to_num(0), want.nan_to_num(0)));
}

TEST(DropoutTest, WhatItLeavesToLibTorchIsTheSameToo) {
  torch::manual_seed(4);
  const Tensor rows = torch::randn({6, 8});
  for (const Tensor& x : {rows.t(), rows.narrow(1, 0, 3), rows.to(torch::kFloat64),
                          torch::randn({0, 3}), torch::tensor(2.0F)}) {
    for (const double p : {0.0, 0.5, 1.0}) {
      const Tensor before = GeneratorState();
      const Tensor want = torch::dropout(x, p, true);
      const Tensor after = GeneratorState();
      SetGeneratorState(before);
      EXPECT_TRUE(SameBits(Dropout(x, p, true), want));
      EXPECT_TRUE(SameBits(GeneratorState(), after));
    }
  }
}

TEST(DropoutTest, EvaluationDrawsNothing) {
  const Tensor x = torch::randn({3, 4});
  const Tensor before = GeneratorState();
  EXPECT_TRUE(Dropout(x, 0.5, false).is_same(x));
  EXPECT_TRUE(DropoutInOrder(x, 0.5, false, torch::arange(3)).is_same(x));
  EXPECT_TRUE(SameBits(GeneratorState(), before));
}

TEST(DropoutTest, AnotherOrderMovesTheRandomNumbersOnly) {
  torch::manual_seed(5);
  const Tensor x = torch::randn({50, 33}).requires_grad_();
  const Tensor factor = torch::randn({50, 33});
  const Tensor order = torch::randperm(50, torch::kInt64);
  const Tensor before = GeneratorState();
  const Tensor mask = torch::dropout(torch::ones({50, 33}), 0.4, true);
  const Tensor want = x * torch::empty_like(mask).index_copy_(0, order, mask);
  const Tensor want_gradient = torch::autograd::grad({(want * factor).sum()}, {x})[0];
  SetGeneratorState(before);
  const Tensor got = DropoutInOrder(x, 0.4, true, order);
  EXPECT_TRUE(SameBits(got, want));
  EXPECT_TRUE(SameBits(torch::autograd::grad({(got * factor).sum()}, {x})[0], want_gradient));
}

TEST(DropoutTest, ReluAfterItIsLibTorchs) {
  torch::manual_seed(7);
  for (const std::vector<int64_t>& shape : kShapes) {
    const Tensor x = torch::randn(shape).requires_grad_();
    const Tensor factor = torch::randn(shape);
    for (const double p : {0.0, 0.4}) {
      const Tensor before = GeneratorState();
      const Tensor want = torch::relu(torch::dropout(x, p, true));
      const Tensor want_gradient = torch::autograd::grad({(want * factor).sum()}, {x})[0];
      const Tensor after = GeneratorState();
      SetGeneratorState(before);
      const Tensor got = DropoutRelu(x, p, true);
      // equal(): 0 may have either sign.
      EXPECT_TRUE(torch::equal(got, want));
      EXPECT_TRUE(
          torch::equal(torch::autograd::grad({(got * factor).sum()}, {x})[0], want_gradient));
      EXPECT_TRUE(SameBits(GeneratorState(), after));
      EXPECT_TRUE(torch::equal(DropoutRelu(x, p, false), torch::relu(x)));
    }
  }
  const Tensor nan = torch::full({64}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(DropoutRelu(nan, 0.5, true).isnan().all().item<bool>());
}

TEST(DropoutTest, SecondDerivativesExist) {
  torch::manual_seed(6);
  const Tensor x = torch::randn({20}).requires_grad_();
  const Tensor y = Dropout(x, 0.5, true);  // m x
  const Tensor first = torch::autograd::grad({y.pow(3).sum()}, {x}, {}, /*retain_graph=*/true,
                                             /*create_graph=*/true)[0];  // 3 m^3 x^2
  const Tensor second = torch::autograd::grad({first.sum()}, {x})[0];
  const Tensor mask = (y / x).detach();
  EXPECT_TRUE(second.allclose(6 * mask.pow(3) * x.detach(), 1e-6));
}

// Every copy has the mask that the first one has alone, and as many random numbers are drawn.
TEST(DropoutTest, CopiesHaveTheMaskOfTheFirst) {
  torch::manual_seed(8);
  for (const auto type : {torch::kFloat32, torch::kFloat64}) {
    for (const int64_t axis : {0, 1}) {
      SCOPED_TRACE(testing::Message() << type << ", axis " << axis);
      std::vector<Tensor> copies;
      for (int c = 0; c < 3; ++c) copies.push_back(torch::randn({7, 5, 40}).to(type));
      const Tensor all = torch::cat(copies, axis).requires_grad_();
      const Tensor before = GeneratorState();
      const Tensor mask = torch::dropout(torch::ones_like(copies[0]), 0.4, true);
      const Tensor after = GeneratorState();
      SetGeneratorState(before);
      const CopiesInPass three(3);
      const Tensor got = Dropout(all, 0.4, true, axis);
      EXPECT_TRUE(SameBits(GeneratorState(), after));
      const Tensor gradient = torch::autograd::grad({got.sum()}, {all})[0];
      for (int c = 0; c < 3; ++c) {
        EXPECT_TRUE(torch::equal(got.chunk(3, axis)[c], copies[c] * mask)) << "copy " << c;
        EXPECT_TRUE(torch::equal(gradient.chunk(3, axis)[c], mask)) << "copy " << c;
      }
    }
  }
}

TEST(DropoutTest, CopiesHaveTheMaskOfTheFirstBeforeAReluAndInAnotherOrder) {
  torch::manual_seed(9);
  const Tensor x = torch::randn({20, 33});
  // Rows 0 to 9 are the first copy, in an order of their own among those of the second.
  const Tensor order_of_first = torch::randperm(10, torch::kInt64);
  const Tensor order = torch::stack({order_of_first + 10, order_of_first}, 1).flatten();
  const Tensor before = GeneratorState();
  const Tensor mask = torch::dropout(torch::ones({10, 33}), 0.4, true);
  const Tensor after = GeneratorState();
  const Tensor in_order = torch::empty_like(mask).index_copy_(0, order_of_first, mask);
  const CopiesInPass two(2);
  SetGeneratorState(before);
  EXPECT_TRUE(torch::equal(DropoutRelu(x, 0.4, true), torch::relu(x * mask.repeat({2, 1}))));
  EXPECT_TRUE(SameBits(GeneratorState(), after));
  for (const Tensor& rows : {x, x.to(torch::kFloat64)}) {
    SetGeneratorState(before);
    const Tensor expected = rows * in_order.repeat({2, 1}).to(rows.dtype());
    EXPECT_TRUE(DropoutInOrder(rows, 0.4, true, order).allclose(expected, 1e-6));
    EXPECT_TRUE(SameBits(GeneratorState(), after));
  }
}

TEST(DropoutTest, NamesAShapeThatHoldsNoCopies) {
  const CopiesInPass three(3);
  EXPECT_THROW(Dropout(torch::ones({6, 4}), 0.5, true, /*axis=*/1), c10::Error);
  EXPECT_THROW(DropoutRelu(torch::ones({4, 6}), 0.5, true), c10::Error);
}

TEST(DropoutTest, NamesAProbabilityThatIsNone) {
  EXPECT_THROW(Dropout(torch::ones({2}), 1.5, true), c10::Error);
  EXPECT_THROW(DropoutInOrder(torch::ones({2}), -0.5, true, torch::arange(2)), c10::Error);
}

}  // namespace
}  // namespace cmerc
