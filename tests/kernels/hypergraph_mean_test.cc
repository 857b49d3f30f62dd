#include "kernels/hypergraph_mean.h"

#include "tests/kernels/kernel_testing.h"

namespace cmerc {
namespace {

constexpr int64_t kModalities = 3;
constexpr double kNegativeSlope = 0.01F;

// [M, R, H]
template <typename T>
kernels::ModalityRows<T> Dense(T* data, const Lengths& lengths, int64_t width) {
  return {data, lengths.num_rows() * width, width};
}

// The definition, in float64, and its input.
struct Reference {
  explicit Reference(const Shape& shape) : lengths(shape.lengths), width(shape.width) {
    Random random(static_cast<uint64_t>(width));
    const int64_t rows = lengths.num_rows();
    const auto numbers = [&](int64_t size, double low, double high) {
      return ToDouble(random.Numbers(size, low, high));
    };
    modality = numbers(kModalities * lengths.count(), 0.1, 1);
    for (int64_t at = 0; at < kModalities * lengths.count(); ++at) {
      const int64_t s = at % lengths.count();
      modality[at] = static_cast<float>(
          modality[at] / static_cast<double>(lengths.first_row[s + 1] - lengths.first_row[s]));
    }
    utterance = numbers(rows, 0.1, 1);
    node = numbers(kModalities * rows, 0.1, 1);
    bias = numbers(width, -1, 1);
    nodes = numbers(kModalities * rows * width, -1, 1);
    d_result = numbers(kModalities * rows * width, -1, 1);
  }

  int64_t rows() const { return lengths.num_rows(); }
  int64_t At(int64_t k, int64_t r, int64_t h) const { return (k * rows() + r) * width + h; }

  // Calls f(s, first row, the row behind the last) for every sequence.
  template <typename F>
  void ForEachSequence(const F& f) const {
    for (int64_t s = 0; s < lengths.count(); ++s) {
      f(s, lengths.first_row[s], lengths.first_row[s + 1]);
    }
  }
  double Modality(int64_t k, int64_t s) const { return modality[k * lengths.count() + s]; }

  // The sums before they are multiplied by norms: [M, H] over rows [begin, end), and [H] of one row
  // over its modalities.
  std::vector<Exact> OverRows(int64_t begin, int64_t end) const {
    std::vector<Exact> sums(kModalities * width);
    for (int64_t k = 0; k < kModalities; ++k) {
      for (int64_t r = begin; r < end; ++r) {
        for (int64_t h = 0; h < width; ++h) sums[k * width + h].Add(nodes[At(k, r, h)]);
      }
    }
    return sums;
  }
  Exact OverModalities(int64_t r, int64_t h) const {
    Exact sum;
    for (int64_t k = 0; k < kModalities; ++k) sum.Add(nodes[At(k, r, h)]);
    return sum;
  }

  std::vector<Exact> Forward() const {
    std::vector<Exact> result(kModalities * rows() * width);
    ForEachSequence([&](int64_t s, int64_t begin, int64_t end) {
      const std::vector<Exact> sums = OverRows(begin, end);
      for (int64_t r = begin; r < end; ++r) {
        for (int64_t h = 0; h < width; ++h) {
          const Exact of_row = OverModalities(r, h);
          for (int64_t k = 0; k < kModalities; ++k) {
            const Exact& of_modality = sums[k * width + h];
            const double norm = node[k * rows() + r];
            Exact value;
            value.Add(norm * Modality(k, s) * of_modality.value,
                      norm * Modality(k, s) * of_modality.magnitude);
            value.Add(norm * utterance[r] * of_row.value, norm * utterance[r] * of_row.magnitude);
            value.Add(bias[h]);
            // Another slope is as far off as the value itself, where that is within its error of 0.
            if (value.value < 0) value.value *= kNegativeSlope;
            result[At(k, r, h)] = value;
          }
        }
      }
    });
    return result;
  }

  struct Gradients {
    std::vector<Exact> modality, utterance, node, bias, nodes;
  };
  // activated: as the kernel gets it.
  Gradients Backward(const std::vector<float>& activated) const {
    Gradients d;
    d.modality.resize(modality.size());
    d.utterance.resize(rows());
    d.node.resize(node.size());
    d.bias.resize(width);
    d.nodes.resize(nodes.size());
    ForEachSequence([&](int64_t s, int64_t begin, int64_t end) {
      const std::vector<Exact> sums = OverRows(begin, end);
      std::vector<Exact> d_means(kModalities * width);
      std::vector<Exact> d_sums((end - begin) * width);
      for (int64_t k = 0; k < kModalities; ++k) {
        for (int64_t r = begin; r < end; ++r) {
          for (int64_t h = 0; h < width; ++h) {
            const double slope = activated[At(k, r, h)] > 0 ? 1 : kNegativeSlope;
            const double d_value = slope * d_result[At(k, r, h)];
            const double norm = node[k * rows() + r];
            const Exact& of_modality = sums[k * width + h];
            const Exact of_row = OverModalities(r, h);
            d.bias[h].Add(d_value);
            d.node[k * rows() + r].Add(
                d_value * (Modality(k, s) * of_modality.value + utterance[r] * of_row.value),
                std::abs(d_value) *
                    (Modality(k, s) * of_modality.magnitude + utterance[r] * of_row.magnitude));
            d_means[k * width + h].Add(d_value * norm);
            d_sums[(r - begin) * width + h].Add(d_value * norm);
          }
        }
      }
      for (int64_t h = 0; h < width; ++h) {
        for (int64_t k = 0; k < kModalities; ++k) {
          d.modality[k * lengths.count() + s].AddProduct(d_means[k * width + h],
                                                         sums[k * width + h]);
        }
        for (int64_t r = begin; r < end; ++r) {
          const Exact& of_row = d_sums[(r - begin) * width + h];
          d.utterance[r].AddProduct(of_row, OverModalities(r, h));
          for (int64_t k = 0; k < kModalities; ++k) {
            const Exact& mean = d_means[k * width + h];
            Exact& to = d.nodes[At(k, r, h)];
            to.Add(utterance[r] * of_row.value, utterance[r] * of_row.magnitude);
            to.Add(Modality(k, s) * mean.value, Modality(k, s) * mean.magnitude);
          }
        }
      }
    });
    return d;
  }

  Lengths lengths;
  int64_t width;
  std::vector<double> modality, utterance, node, bias, nodes, d_result;
};

std::vector<float> ToFloat(const std::vector<double>& numbers) {
  return {numbers.begin(), numbers.end()};
}

std::vector<float> ActivatedOf(const Reference& reference) {
  std::vector<float> activated;
  for (const Exact& y : reference.Forward()) activated.push_back(static_cast<float>(y.value));
  return activated;
}

// What both directions read, in the memory of a processor.
struct There {
  There(Place place, const Reference& reference)
      : first_row(place, reference.lengths.first_row),
        modality(place, ToFloat(reference.modality)),
        utterance(place, ToFloat(reference.utterance)),
        node(place, ToFloat(reference.node)),
        bias(place, ToFloat(reference.bias)),
        nodes(place, ToFloat(reference.nodes)) {
    arguments.sequences = reference.lengths.At(first_row.get());
    arguments.num_modalities = kModalities;
    arguments.width = reference.width;
    arguments.modality = modality.get();
    arguments.utterance = utterance.get();
    arguments.node = node.get();
    arguments.bias = bias.get();
    arguments.nodes = Dense<const float>(nodes.get(), reference.lengths, reference.width);
  }

  Memory<int64_t> first_row;
  Memory<float> modality, utterance, node, bias, nodes;
  kernels::HypergraphMean arguments{};
};

class HypergraphMeanTest : public KernelTest {};

TEST_P(HypergraphMeanTest, ForwardIsTheDefinition) {
  const Reference reference(shape());
  There there(place(), reference);
  const Memory<float> result(place(), Unwritten(kModalities * reference.rows() * reference.width));
  there.arguments.result = Dense(result.get(), reference.lengths, reference.width);
  Run(kernels::RunHypergraphMean, &Gpu::hypergraph_mean, there.arguments);
  ExpectNear("result", result.Read(), reference.Forward(),
             RelativeTolerance(reference.lengths.longest));
}

TEST_P(HypergraphMeanTest, BackwardIsTheGradient) {
  const Reference reference(shape());
  const std::vector<float> of_forward = ActivatedOf(reference);
  There there(place(), reference);
  const Lengths& lengths = reference.lengths;
  const int64_t rows = reference.rows(), width = reference.width;
  const Memory<float> activated(place(), of_forward);
  const Memory<float> d_result(place(), ToFloat(reference.d_result));
  const Memory<float> d_nodes(place(), Unwritten(kModalities * rows * width));
  const Memory<float> d_modality(place(), Unwritten(kModalities * lengths.count()));
  const Memory<float> d_utterance(place(), Unwritten(rows));
  const Memory<float> d_node(place(), Unwritten(kModalities * rows));
  const Memory<float> d_bias(place(), Unwritten(width));
  const int64_t workspace_size =
      place() == Place::kCpu
          ? 0
          : FindGpu()->hypergraph_mean_workspace(there.arguments.sequences, kModalities, width);
  const Memory<float> workspace(place(), Unwritten(workspace_size));
  there.arguments.activated = Dense<const float>(activated.get(), lengths, width);
  there.arguments.d_result = Dense<const float>(d_result.get(), lengths, width);
  there.arguments.d_nodes = Dense(d_nodes.get(), lengths, width);
  there.arguments.d_modality = d_modality.get();
  there.arguments.d_utterance = d_utterance.get();
  there.arguments.d_node = d_node.get();
  there.arguments.d_bias = d_bias.get();
  there.arguments.workspace = workspace.get();
  Run(kernels::RunHypergraphMeanBackward, &Gpu::hypergraph_mean_backward, there.arguments);
  const Reference::Gradients expected = reference.Backward(of_forward);
  const double tolerance = RelativeTolerance(lengths.longest);
  ExpectNear("d_nodes", d_nodes.Read(), expected.nodes, tolerance);
  ExpectNear("d_modality", d_modality.Read(), expected.modality,
             RelativeTolerance(2 * lengths.longest + width));
  ExpectNear("d_utterance", d_utterance.Read(), expected.utterance, RelativeTolerance(width));
  ExpectNear("d_node", d_node.Read(), expected.node, RelativeTolerance(lengths.longest + width));
  ExpectNear("d_bias", d_bias.Read(), expected.bias, RelativeTolerance(kModalities * rows));
}

TEST(HypergraphMeanGpuTest, RunsTheSameTests) { SkipWithoutGpu(); }

INSTANTIATE_TEST_SUITE_P(All, HypergraphMeanTest,
                         testing::Combine(testing::ValuesIn(Places()), testing::ValuesIn(Shapes())),
                         NameOfParam);

TEST(HypergraphMeanReferenceTest, GradientsAreCentralDifferences) {
  Reference reference({{5, 3}, 4});
  const Reference::Gradients d = reference.Backward(ActivatedOf(reference));
  const auto f = [&] {
    const std::vector<Exact> result = reference.Forward();
    double sum = 0;
    for (size_t at = 0; at < result.size(); ++at) {
      sum += result[at].value * reference.d_result[at];
    }
    return sum;
  };
  EXPECT_LT(GradientError(reference.modality, Values(d.modality), f), kGradientError);
  EXPECT_LT(GradientError(reference.utterance, Values(d.utterance), f), kGradientError);
  EXPECT_LT(GradientError(reference.node, Values(d.node), f), kGradientError);
  EXPECT_LT(GradientError(reference.bias, Values(d.bias), f), kGradientError);
  EXPECT_LT(GradientError(reference.nodes, Values(d.nodes), f), kGradientError);
}

}  // namespace
}  // namespace cmerc
