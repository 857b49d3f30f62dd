#include "kernels/group_sums.h"

#include <limits>

#include "tests/kernels/kernel_testing.h"

namespace cmerc {
namespace {

constexpr int64_t kGroups = 4;
// exp(1 / temperature) overflows float32.
constexpr float kTemperature = 0.01F;

// The definition, in float64, and its input.
struct Reference {
  explicit Reference(int64_t num, int64_t width) : num(num), width(width) {
    Random random(static_cast<uint64_t>(num));
    unit = ToDouble(random.Numbers(num * width));
    for (int64_t i = 0; i < num; ++i) {
      double squares = 0;
      for (int64_t h = 0; h < width; ++h) squares += unit[i * width + h] * unit[i * width + h];
      // One has no direction.
      const double scale = i == num / 2 && num > 1 ? 0 : 1 / std::sqrt(squares);
      for (int64_t h = 0; h < width; ++h) {
        unit[i * width + h] = static_cast<float>(unit[i * width + h] * scale);
      }
      // The first is alone in its group, and the last group has nobody.
      groups.push_back(i == 0 ? 0 : 1 + static_cast<int32_t>(random.In(0, kGroups - 2)));
    }
    d_log_sums = ToDouble(random.Numbers(num * kGroups));
  }

  double Similarity(int64_t i, int64_t j) const {
    double cosine = 0;
    for (int64_t h = 0; h < width; ++h) cosine += unit[i * width + h] * unit[j * width + h];
    return cosine / kTemperature;
  }

  // [N, G]
  std::vector<double> Forward() const {
    std::vector<double> log_sums(num * kGroups, kernels::kEmptyGroup);
    for (int64_t i = 0; i < num; ++i) {
      std::vector<double> similarities(num);
      for (int64_t j = 0; j < num; ++j) similarities[j] = Similarity(i, j);
      for (int64_t g = 0; g < kGroups; ++g) {
        double largest = -std::numeric_limits<double>::infinity(), sum = 0;
        for (int64_t j = 0; j < num; ++j) {
          if (j != i && groups[j] == g) largest = std::max(largest, similarities[j]);
        }
        for (int64_t j = 0; j < num; ++j) {
          if (j != i && groups[j] == g) sum += std::exp(similarities[j] - largest);
        }
        if (sum > 0) log_sums[i * kGroups + g] = largest + std::log(sum);
      }
    }
    return log_sums;
  }

  // [N, H]. log_sums: as the kernel gets them.
  std::vector<Exact> Backward(const std::vector<double>& log_sums) const {
    std::vector<Exact> d_unit(num * width);
    for (int64_t i = 0; i < num; ++i) {
      for (int64_t j = 0; j < num; ++j) {
        if (i == j) continue;
        const int64_t at = i * kGroups + groups[j];
        const double d_cosine =
            d_log_sums[at] * std::exp(Similarity(i, j) - log_sums[at]) / kTemperature;
        for (int64_t h = 0; h < width; ++h) {
          d_unit[i * width + h].Add(d_cosine * unit[j * width + h]);
          d_unit[j * width + h].Add(d_cosine * unit[i * width + h]);
        }
      }
    }
    return d_unit;
  }

  int64_t num, width;
  std::vector<double> unit, d_log_sums;
  std::vector<int32_t> groups;
};

std::vector<float> ToFloat(const std::vector<double>& numbers) {
  return {numbers.begin(), numbers.end()};
}

// The error of a similarity: cosines are up to 1, and so is the sum of the absolute values of their
// terms.
// It is the absolute error of a log_sum and the relative one of a gradient of a pair.
double SimilarityError(int64_t width) { return RelativeTolerance(width) / kTemperature; }

// What both directions use, in the memory of a processor.
struct There {
  There(Place place, const Reference& reference, const std::vector<float>& log_sums_before)
      : unit(place, ToFloat(reference.unit)),
        groups(place, reference.groups),
        log_sums(place, log_sums_before),
        workspace(place, Unwritten(kernels::GroupSumsWorkspace(reference.num))) {
    arguments.num = reference.num;
    arguments.width = reference.width;
    arguments.num_groups = kGroups;
    arguments.temperature = kTemperature;
    arguments.unit = unit.get();
    arguments.groups = groups.get();
    arguments.log_sums = log_sums.get();
    arguments.workspace = workspace.get();
  }

  Memory<float> unit;
  Memory<int32_t> groups;
  Memory<float> log_sums, workspace;
  kernels::GroupSums arguments{};
};

class GroupSumsTest : public KernelTest {
 protected:
  // One batch has all sequences.
  Reference MakeReference() const {
    return Reference(Lengths(shape().lengths).num_rows(), shape().width);
  }
};

TEST_P(GroupSumsTest, ForwardIsTheDefinition) {
  const Reference reference = MakeReference();
  const There there(place(), reference, Unwritten(reference.num * kGroups));
  Run(kernels::RunGroupSums, &Gpu::group_sums, there.arguments);
  std::vector<Exact> expected;
  for (const double log_sum : reference.Forward()) {
    // The sum of N exponentials, and the roundings of a similarity of up to 1 / temperature.
    expected.push_back({log_sum, log_sum == kernels::kEmptyGroup ? 0.0 : 1.0});
  }
  ExpectNear("log_sums", there.log_sums.Read(), expected,
             SimilarityError(reference.width) + RelativeTolerance(reference.num));
}

TEST_P(GroupSumsTest, BackwardIsTheGradient) {
  const Reference reference = MakeReference();
  const std::vector<float> of_forward = ToFloat(reference.Forward());
  There there(place(), reference, of_forward);
  const Memory<float> d_log_sums(place(), ToFloat(reference.d_log_sums));
  const Memory<float> d_unit(place(), Unwritten(reference.num * reference.width));
  there.arguments.d_log_sums = d_log_sums.get();
  there.arguments.d_unit = d_unit.get();
  Run(kernels::RunGroupSumsBackward, &Gpu::group_sums_backward, there.arguments);
  ExpectNear("d_unit", d_unit.Read(), reference.Backward(ToDouble(of_forward)),
             SimilarityError(reference.width) + RelativeTolerance(reference.num));
}

TEST_P(GroupSumsTest, NaNIsNotHidden) {
  Reference reference = MakeReference();
  reference.unit[0] = std::numeric_limits<double>::quiet_NaN();
  const There there(place(), reference, Unwritten(reference.num * kGroups));
  Run(kernels::RunGroupSums, &Gpu::group_sums, there.arguments);
  const std::vector<float> result = there.log_sums.Read();
  // Utterance 0 is the only one of group 0.
  for (int64_t i = 1; i < reference.num; ++i) EXPECT_TRUE(std::isnan(result[i * kGroups])) << i;
}

TEST(GroupSumsGpuTest, RunsTheSameTests) { SkipWithoutGpu(); }

INSTANTIATE_TEST_SUITE_P(All, GroupSumsTest,
                         testing::Combine(testing::ValuesIn(Places()), testing::ValuesIn(Shapes())),
                         NameOfParam);

TEST(GroupSumsReferenceTest, GradientsAreCentralDifferences) {
  Reference reference(7, 5);
  const std::vector<Exact> d = reference.Backward(reference.Forward());
  const auto f = [&] {
    const std::vector<double> log_sums = reference.Forward();
    double sum = 0;
    for (size_t at = 0; at < log_sums.size(); ++at) {
      // A constant, and too large to be added to anything.
      if (log_sums[at] != kernels::kEmptyGroup) sum += log_sums[at] * reference.d_log_sums[at];
    }
    return sum;
  };
  // Third derivatives are up to 1 / temperature^2 times the first: of the step squared, a sixth.
  constexpr double kError = 1e-10 / 6 / (kTemperature * kTemperature);
  EXPECT_LT(GradientError(reference.unit, Values(d), f), kError);
}

}  // namespace
}  // namespace cmerc
