// The kernels of the recurrent layers by themselves: the same bits however conversations are
// divided, and the same results on every instruction set.
#include "kernels/cpu/recurrent_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/cpu/instruction_set.h"
#include "tests/backbones/layers/recurrent_testing.h"

namespace cmerc {
namespace {

using torch::Tensor;
using torch::autograd::variable_list;

// One direction of one layer on given kernels: output, then the three gradients.
variable_list RunKernels(const kernels::RecurrentKernels& kernels, int64_t gates, bool reverse,
                         const std::vector<int64_t>& divisions) {
  constexpr int64_t kHidden = 19;
  const std::vector<int64_t> lengths = {9, 9, 8, 6, 6, 6, 5, 4, 3, 3, 3, 2, 1};  // longest first
  const int64_t n = Sum(lengths);
  torch::manual_seed(2);
  const Tensor length = torch::tensor(lengths);
  const Tensor start = length.cumsum(0) - length;
  const Tensor weight = torch::randn({gates * kHidden, kHidden}) / 4;
  const Tensor bias = torch::randn({2, gates * kHidden});
  const Tensor values = torch::randn({n, gates * kHidden});
  const Tensor output_gradient = torch::randn({n, kHidden});
  const Tensor kept = torch::empty({n, kHidden});
  const Tensor output = torch::empty({n, kHidden});
  const Tensor gate_gradient = torch::empty_like(values);
  const Tensor new_gradient = torch::zeros({n, kHidden});
  const Tensor previous = torch::empty({n, kHidden});
  const Tensor packed = torch::empty({kernels.forward_weights_size(kHidden)});
  const Tensor packed_backward = torch::empty({kernels.backward_weights_size(kHidden)});
  const auto data = [](const Tensor& x) { return x.data_ptr<float>(); };
  kernels.pack_forward(kHidden, data(weight), data(bias), data(bias) + gates * kHidden,
                       data(packed));
  kernels.pack_backward(kHidden, data(weight), data(packed_backward));
  const kernels::RecurrentForward forward{kHidden,
                                          reverse,
                                          data(packed),
                                          {data(values), gates * kHidden},
                                          {data(kept), kHidden},
                                          {data(output), kHidden}};
  const kernels::RecurrentBackward backward{kHidden,
                                            reverse,
                                            data(packed_backward),
                                            {data(values), gates * kHidden},
                                            {data(kept), kHidden},
                                            {data(output), kHidden},
                                            {data(output_gradient), kHidden},
                                            {data(gate_gradient), gates * kHidden},
                                            {data(new_gradient), kHidden},
                                            {data(previous), kHidden}};
  for (size_t i = 0; i + 1 < divisions.size(); ++i) {
    const kernels::ConversationRows part{start.data_ptr<int64_t>() + divisions[i],
                                         length.data_ptr<int64_t>() + divisions[i],
                                         divisions[i + 1] - divisions[i]};
    kernels.forward(forward, part);
    kernels.backward(backward, part);
  }
  return {output, gate_gradient, new_gradient, previous};
}

// The kernels of one kind of cell on every instruction set of this processor.
class RecurrentKernelsTest : public testing::TestWithParam<
                                 std::tuple<kernels::RecurrentCell, int64_t /*instruction set*/>> {
 protected:
  ~RecurrentKernelsTest() override { kernels::UseInstructionSet(0); }
  int64_t gates() const { return std::get<0>(GetParam()) == kernels::RecurrentCell::kGru ? 3 : 4; }
  const kernels::RecurrentKernels& Find() const { return FindOn(std::get<1>(GetParam())); }
  // On the least of all instruction sets.
  const kernels::RecurrentKernels& FindBaseline() const {
    return FindOn(kernels::InstructionSets().back());
  }

 private:
  static const kernels::RecurrentKernels& FindOn(int64_t instruction_set) {
    kernels::UseInstructionSet(instruction_set);
    return kernels::BestRecurrentKernels(std::get<0>(GetParam()));
  }
};

TEST_P(RecurrentKernelsTest, TheSameBitsHoweverConversationsAreDivided) {
  for (const bool reverse : {false, true}) {
    const variable_list whole = RunKernels(Find(), gates(), reverse, {0, 13});
    const variable_list parts = RunKernels(Find(), gates(), reverse, {0, 1, 3, 6, 13});
    for (size_t i = 0; i < whole.size(); ++i) EXPECT_TRUE(torch::equal(whole[i], parts[i])) << i;
  }
}

TEST_P(RecurrentKernelsTest, TheSameResultsOnEveryInstructionSet) {
  const kernels::RecurrentKernels& baseline = FindBaseline();
  for (const bool reverse : {false, true}) {
    const variable_list got = RunKernels(Find(), gates(), reverse, {0, 13});
    const variable_list want = RunKernels(baseline, gates(), reverse, {0, 13});
    for (size_t i = 0; i < got.size(); ++i) ExpectClose(got[i], want[i], std::to_string(i));
  }
}

// Sizes below, at and above those of tiles and of blocks, as they lie and transposed.
TEST_P(RecurrentKernelsTest, MatrixProductsAreExactToRounding) {
  torch::manual_seed(3);
  for (const int64_t rows : {1, 12, 101}) {
    for (const int64_t columns : {1, 32, 403}) {
      for (const int64_t depth : {1, 256, 261}) {
        for (const bool transposed : {false, true}) {
          const Tensor a = torch::randn({rows, depth});
          const Tensor b = torch::randn({columns, depth});
          const Tensor c = torch::randn({rows, columns});
          const Tensor want =
              c.to(torch::kFloat64) + a.to(torch::kFloat64).mm(b.to(torch::kFloat64).t());
          const Tensor left = transposed ? a.t().contiguous().t() : a;
          const Tensor right = transposed ? b.t().contiguous() : b.t();
          const kernels::MatrixProduct product{rows,
                                               columns,
                                               depth,
                                               left.data_ptr<float>(),
                                               left.stride(0),
                                               left.stride(1),
                                               right.data_ptr<float>(),
                                               right.stride(0),
                                               right.stride(1),
                                               c.data_ptr<float>(),
                                               columns,
                                               /*accumulate=*/true};
          const int64_t middle = columns / 64 * 32;
          Find().multiply(product, 0, middle);
          Find().multiply(product, middle, columns);
          // `depth` roundings by 6e-8 of what was added up add up like noise.
          const Tensor bound = 6e-8 * std::sqrt(depth) * (a.abs().mm(b.abs().t()) + c.abs());
          EXPECT_TRUE(((c - want).abs() <= bound).all().item<bool>())
              << rows << " x " << depth << " x " << columns << ": " << (c - want).abs().max();
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, RecurrentKernelsTest,
                         testing::Combine(testing::Values(kernels::RecurrentCell::kGru,
                                                          kernels::RecurrentCell::kLstm),
                                          testing::ValuesIn(kernels::InstructionSets())));

}  // namespace
}  // namespace cmerc
