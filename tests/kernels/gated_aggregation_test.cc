#include "kernels/gated_aggregation.h"

#include "tests/kernels/kernel_testing.h"

namespace cmerc {
namespace {

constexpr int64_t kModalities = 3;

// Rows of modalities beside each other, with a gap: [R, M, H + 1].
template <typename T>
kernels::ModalityRows<T> Beside(T* data, int64_t width) {
  return {data, width + 1, kModalities * (width + 1)};
}

struct Input {
  explicit Input(const Shape& shape)
      : lengths(shape.lengths), width(shape.width), random(static_cast<uint64_t>(width)) {
    const int64_t rows = lengths.num_rows();
    context.resize(lengths.num_pairs());
    for (uint8_t& edge : context) edge = random.In(0, 1) < 0.7 ? 1 : 0;
    scale = random.Numbers(rows, 0.1, 1);
    receive = random.Numbers(kModalities * rows, -2, 2);
    send = random.Numbers(kModalities * rows, -2, 2);
    x = random.Numbers(size());
    before = random.Numbers(size());
    d_result = random.Numbers(size());
  }
  int64_t size() const { return lengths.num_rows() * kModalities * (width + 1); }

  Lengths lengths;
  int64_t width;
  Random random;
  std::vector<uint8_t> context;
  std::vector<float> scale, receive, send;
  std::vector<float> x, before, d_result;  // [R, M, H + 1]
};

// The definition, in float64. Everything [R, M, H + 1] or [M, R].
struct Reference {
  explicit Reference(const Input& input)
      : input(input),
        receive(ToDouble(input.receive)),
        send(ToDouble(input.send)),
        x(ToDouble(input.x)) {}

  // Calls f(k, row of i, row of j, n_ij) for all edges.
  template <typename F>
  void ForEachEdge(const F& f) const {
    for (int64_t s = 0; s < input.lengths.count(); ++s) {
      const int64_t first = input.lengths.first_row[s];
      const int64_t n = input.lengths.first_row[s + 1] - first;
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          if (input.context[input.lengths.first_pair[s] + i * n + j] == 0) continue;
          const double norm = static_cast<double>(input.scale[first + i]) * input.scale[first + j];
          for (int64_t k = 0; k < kModalities; ++k) f(k, first + i, first + j, norm);
        }
      }
    }
  }
  int64_t At(int64_t k, int64_t row) const { return (row * kModalities + k) * (input.width + 1); }
  double Gate(int64_t k, int64_t i, int64_t j) const {
    const int64_t rows = input.lengths.num_rows();
    return std::tanh(receive[k * rows + i] + send[k * rows + j]);
  }

  std::vector<Exact> Forward() const {
    std::vector<Exact> result(input.size());
    for (int64_t at = 0; at < input.size(); ++at) result[at].Add(input.before[at]);
    ForEachEdge([&](int64_t k, int64_t i, int64_t j, double norm) {
      const double weight = norm * Gate(k, i, j);
      for (int64_t h = 0; h < input.width; ++h) {
        result[At(k, i) + h].Add(weight * x[At(k, j) + h]);
      }
    });
    return result;
  }

  struct Gradients {
    std::vector<Exact> x, receive, send;
  };
  Gradients Backward() const {
    const int64_t rows = input.lengths.num_rows();
    Gradients d;
    d.x.resize(input.size());
    d.receive.resize(kModalities * rows);
    d.send.resize(kModalities * rows);
    ForEachEdge([&](int64_t k, int64_t i, int64_t j, double norm) {
      const double gate = Gate(k, i, j);
      Exact product;
      for (int64_t h = 0; h < input.width; ++h) {
        const double d_out = input.d_result[At(k, i) + h];
        d.x[At(k, j) + h].Add(norm * gate * d_out);
        product.Add(d_out * x[At(k, j) + h]);
      }
      // 1 - gate^2 loses digits near 1: its error is in proportion to 1.
      Exact d_argument;
      d_argument.AddProduct({norm * (1 - gate * gate), norm}, product);
      d.receive[k * rows + i].Add(d_argument.value, d_argument.magnitude);
      d.send[k * rows + j].Add(d_argument.value, d_argument.magnitude);
    });
    return d;
  }

  const Input& input;
  std::vector<double> receive, send, x;
};

// What both directions read, in the memory of a processor.
struct There {
  There(Place place, const Input& input)
      : first_row(place, input.lengths.first_row),
        first_pair(place, input.lengths.first_pair),
        context(place, input.context),
        scale(place, input.scale),
        receive(place, input.receive),
        send(place, input.send),
        x(place, input.x) {
    arguments.sequences = input.lengths.At(first_row.get());
    arguments.num_modalities = kModalities;
    arguments.width = input.width;
    arguments.first_pair = first_pair.get();
    arguments.context = context.get();
    arguments.scale = scale.get();
    arguments.receive = receive.get();
    arguments.send = send.get();
    arguments.x = Beside<const float>(x.get(), input.width);
  }

  Memory<int64_t> first_row, first_pair;
  Memory<uint8_t> context;
  Memory<float> scale, receive, send, x;
  kernels::GatedAggregation arguments{};
};

class GatedAggregationTest : public KernelTest {};

TEST_P(GatedAggregationTest, ForwardIsTheDefinition) {
  const Input input(shape());
  There there(place(), input);
  // Written all over, but for the gaps.
  const Memory<float> result(place(), input.before);
  there.arguments.result = Beside(result.get(), input.width);
  Run(kernels::RunGatedAggregation, &Gpu::gated_aggregation, there.arguments);
  ExpectNear("result", result.Read(), Reference(input).Forward(),
             RelativeTolerance(input.lengths.longest));
}

TEST_P(GatedAggregationTest, BackwardIsTheGradient) {
  const Input input(shape());
  const int64_t rows = input.lengths.num_rows();
  There there(place(), input);
  const Memory<float> d_result(place(), input.d_result);
  std::vector<float> with_gaps = Unwritten(input.size());
  for (int64_t at = input.width; at < input.size(); at += input.width + 1) with_gaps[at] = 0;
  const Memory<float> d_x(place(), with_gaps);
  const Memory<float> d_receive(place(), Unwritten(kModalities * rows));
  const Memory<float> d_send(place(), Unwritten(kModalities * rows));
  const int64_t workspace_size =
      place() == Place::kCpu
          ? 0
          : FindGpu()->gated_aggregation_workspace(there.arguments.sequences, kModalities);
  const Memory<float> workspace(place(), Unwritten(workspace_size));
  there.arguments.d_result = Beside<const float>(d_result.get(), input.width);
  there.arguments.d_x = Beside(d_x.get(), input.width);
  there.arguments.d_receive = d_receive.get();
  there.arguments.d_send = d_send.get();
  there.arguments.workspace = workspace.get();
  Run(kernels::RunGatedAggregationBackward, &Gpu::gated_aggregation_backward, there.arguments);
  const Reference::Gradients expected = Reference(input).Backward();
  ExpectNear("d_x", d_x.Read(), expected.x, RelativeTolerance(input.lengths.longest));
  const double tolerance = RelativeTolerance(input.lengths.longest + input.width);
  ExpectNear("d_receive", d_receive.Read(), expected.receive, tolerance);
  ExpectNear("d_send", d_send.Read(), expected.send, tolerance);
}

TEST(GatedAggregationGpuTest, RunsTheSameTests) { SkipWithoutGpu(); }

INSTANTIATE_TEST_SUITE_P(All, GatedAggregationTest,
                         testing::Combine(testing::ValuesIn(Places()), testing::ValuesIn(Shapes())),
                         NameOfParam);

TEST(GatedAggregationReferenceTest, GradientsAreCentralDifferences) {
  const Input input({{5, 3}, 4});
  Reference reference(input);
  const Reference::Gradients d = reference.Backward();
  const auto f = [&] {
    const std::vector<Exact> result = reference.Forward();
    double sum = 0;
    for (int64_t at = 0; at < input.size(); ++at) sum += result[at].value * input.d_result[at];
    return sum;
  };
  EXPECT_LT(GradientError(reference.x, Values(d.x), f), kGradientError);
  EXPECT_LT(GradientError(reference.receive, Values(d.receive), f), kGradientError);
  EXPECT_LT(GradientError(reference.send, Values(d.send), f), kGradientError);
}

}  // namespace
}  // namespace cmerc
