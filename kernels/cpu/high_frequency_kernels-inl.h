// The kernels for the vectors of one instruction set, Highway's HWY_NAMESPACE; included by
// high_frequency_kernels.cc once for each.
#include "kernels/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace cmerc::kernels {
namespace {
namespace HWY_NAMESPACE {

// Below, `count` is kLanes, known to the compiler, but for the last vector of a row.

// Whole vectors of M * M numbers.
int64_t GatesSize(const HighFrequencyPass& pass) {
  return (pass.num_modalities * pass.num_modalities + kLanes - 1) / kLanes * kLanes;
}

// gates[to * M + from] = tanh(receive[to] + send[from]) for utterance i.
HWY_INLINE void GatesBetween(const HighFrequencyPass& pass, int64_t i, float* gates) {
  const int64_t num_modalities = pass.num_modalities;
  for (int64_t to = 0; to < num_modalities; ++to) {
    for (int64_t from = 0; from < num_modalities; ++from) {
      gates[to * num_modalities + from] =
          pass.receive[to * pass.length + i] + pass.send[from * pass.length + i];
    }
  }
  for (int64_t at = 0; at < num_modalities * num_modalities; at += kLanes) {
    Store(gates + at, Tanh(Load(gates + at)));
  }
}

void BetweenModalities(const HighFrequencyPass& pass, int64_t first, int64_t last) {
  const int64_t num_modalities = pass.num_modalities, width = pass.width;
  std::vector<float> gates(GatesSize(pass));
  for (int64_t i = first; i < last; ++i) {
    for (int64_t k = 0; k < num_modalities; ++k) {
      const float* x = pass.nodes.Row(k, i);
      pass.receive[k * pass.length + i] = Dot(x, pass.receive_weight, width) + pass.bias;
      pass.send[k * pass.length + i] = Dot(x, pass.send_weight, width);
    }
    GatesBetween(pass, i, gates.data());
    for (int64_t to = 0; to < num_modalities; ++to) {
      float* out = pass.result.Row(to, i);
      std::copy_n(pass.nodes.Row(to, i), width, out);
      for (int64_t from = 0; from < num_modalities; ++from) {
        if (from == to) continue;
        Add(gates[to * num_modalities + from] * pass.between[i], pass.nodes.Row(from, i), out,
            width);
      }
    }
  }
}

// c [rows, columns] = a [rows, depth] * b [depth, columns], or c += a * b. Rows of b and c are
// dense; of the strides of a, one is 1.
struct Product {
  int64_t rows, columns, depth;
  const float* a;
  int64_t a_row_stride, a_depth_stride;
  const float* b;
  int64_t b_stride;
  float* c;
  int64_t c_stride;
  bool accumulate;
};

struct ProductBlock {
  const Product& product;
  const float* panel;  // [depth, kTileColumns] of b
  int64_t column;

  template <int kRows>
  void Run(int64_t first) const {
    Vec tile[kRows][kTileVectors];
    Clear(tile);
    Multiply(product.a + first * product.a_row_stride, product.a_row_stride, product.a_depth_stride,
             product.depth, panel, tile);
    for (int i = 0; i < kRows; ++i) {
      float* c = product.c + (first + i) * product.c_stride + column;
      for (int v = 0; v < kTileVectors && column + v * kLanes < product.columns; ++v) {
        const int64_t count = product.columns - column - v * kLanes;
        float* target = c + v * kLanes;
        Store(target, product.accumulate ? hn::Add(tile[i][v], Load(target, count)) : tile[i][v],
              count);
      }
    }
  }
};

void RunProduct(const Product& product) {
  const Scratch panel(product.depth * kTileColumns);
  for (int64_t column = 0; column < product.columns; column += kTileColumns) {
    const int64_t count = product.columns - column;
    for (int64_t k = 0; k < product.depth; ++k) {
      const float* b = product.b + k * product.b_stride + column;
      for (int64_t v = 0; v < kTileVectors; ++v) {
        const bool any = v * kLanes < count;
        Store(panel.get() + (k * kTileVectors + v) * kLanes,
              any ? Load(b + v * kLanes, count - v * kLanes) : Zero());
      }
    }
    ForEachBlock<kTileRows>(product.rows, ProductBlock{product, panel.get(), column});
  }
}

// weights[0..count) of the edges of modality k from j to i.
HWY_INLINE void Weigh(const HighFrequencyPass& pass, int64_t k, int64_t i, int64_t j, int64_t count,
                      float* weights) {
  const float* send = pass.send + k * pass.length;
  const Vec gate = Tanh(hn::Add(Load(send + j, count), All(pass.receive[k * pass.length + i])));
  const float* norms = pass.within + (i - pass.within_first) * pass.length + j;
  Store(weights, hn::Mul(gate, Load(norms, count)), count);
}

void WithinModality(const HighFrequencyPass& pass, int64_t k, int64_t first, int64_t last) {
  const int64_t n = pass.length, width = pass.width;
  const Scratch weights((last - first) * n);
  for (int64_t i = first; i < last; ++i) {
    float* row = weights.get() + (i - first) * n;
    int64_t j = 0;
    for (; j + kLanes <= n; j += kLanes) Weigh(pass, k, i, j, kLanes, row + j);
    if (j < n) Weigh(pass, k, i, j, n - j, row + j);
  }
  RunProduct({last - first, width, n, weights.get(), n, 1, pass.nodes.first[k], pass.nodes.stride,
              pass.result.Row(k, first), pass.result.stride, /*accumulate=*/true});
}

// products[i * stride + j] = a[i] . b[j] for `rows` rows of a and `columns` of b, all `width` wide.
// Tiles of kDotRows x kDotColumns sums; those beyond the end are computed and dropped.
constexpr int kDotRows = kLanes == 16 ? 4 : 3;
constexpr int kDotColumns = kAccumulators / kDotRows;

// Unrolled as a whole, since registers have no index; gcc does it by itself only when it is too
// late to keep `sums` out of memory.
HWY_INLINE void AddProducts(const float* const (&left)[kDotRows],
                            const float* const (&right)[kDotColumns], int64_t h, int64_t count,
                            Vec (&sums)[kDotRows][kDotColumns]) {
  Vec x[kDotRows];
#pragma GCC unroll 8
  for (int u = 0; u < kDotRows; ++u) x[u] = Load(left[u] + h, count);
#pragma GCC unroll 8
  for (int v = 0; v < kDotColumns; ++v) {
    const Vec y = Load(right[v] + h, count);
#pragma GCC unroll 8
    for (int u = 0; u < kDotRows; ++u) sums[u][v] = hn::MulAdd(x[u], y, sums[u][v]);
  }
}

void DotProducts(const float* a, int64_t a_stride, int64_t rows, const float* b, int64_t b_stride,
                 int64_t columns, int64_t width, float* products, int64_t stride) {
  for (int64_t j = 0; j < columns; j += kDotColumns) {
    const float* right[kDotColumns];
    for (int v = 0; v < kDotColumns; ++v) right[v] = b + std::min(j + v, columns - 1) * b_stride;
    for (int64_t i = 0; i < rows; i += kDotRows) {
      const float* left[kDotRows];
      for (int u = 0; u < kDotRows; ++u) left[u] = a + std::min(i + u, rows - 1) * a_stride;
      Vec sums[kDotRows][kDotColumns];
      Clear(sums);
      int64_t h = 0;
      for (; h + kLanes <= width; h += kLanes) AddProducts(left, right, h, kLanes, sums);
      if (h < width) AddProducts(left, right, h, width - h, sums);
      // All of them by way of memory: an index that the compiler does not know would keep the sums
      // out of registers.
      float lanes[kDotRows][kDotColumns][kLanes];
#pragma GCC unroll 8
      for (int u = 0; u < kDotRows; ++u) {
#pragma GCC unroll 8
        for (int v = 0; v < kDotColumns; ++v) Store(lanes[u][v], sums[u][v]);
      }
      for (int u = 0; u < kDotRows && i + u < rows; ++u) {
        for (int v = 0; v < kDotColumns && j + v < columns; ++v) {
          products[(i + u) * stride + j + v] = Sum(Load(lanes[u][v]));
        }
      }
    }
  }
}

// From the gradients of the weights of the edges from j to i to the weights themselves, in place.
// Adds the gradients of the gates' arguments to d_send[0..count) and `sum`.
HWY_INLINE void WeighBackward(const HighFrequencyPass& pass, int64_t k, int64_t i, int64_t j,
                              int64_t count, float* weights, float* d_send, Vec& sum) {
  const float* send = pass.send + k * pass.length;
  const Vec gate = Tanh(hn::Add(Load(send + j, count), All(pass.receive[k * pass.length + i])));
  const Vec norm = Load(pass.within + i * pass.length + j, count);
  const Vec d_argument =
      hn::Mul(hn::Mul(Load(weights, count), norm), hn::NegMulAdd(gate, gate, All(1.0F)));
  sum = hn::Add(sum, d_argument);
  Store(d_send, hn::Add(Load(d_send, count), d_argument), count);
  Store(weights, hn::Mul(gate, norm), count);
}

void WithinModalityBackward(const HighFrequencyPass& pass, int64_t k, int64_t first, int64_t last,
                            float* d_receive) {
  const int64_t n = pass.length, width = pass.width;
  const int64_t columns = last - first;
  float* d_send = pass.d_send + k * n;
  const Scratch weights(n * columns);
  DotProducts(pass.d_result.first[k], pass.d_result.stride, n, pass.nodes.Row(k, first),
              pass.nodes.stride, columns, width, weights.get(), columns);
  std::fill(d_send + first, d_send + last, 0.0F);
  for (int64_t i = 0; i < n; ++i) {
    float* row = weights.get() + i * columns;
    Vec sum = Zero();
    int64_t j = 0;
    for (; j + kLanes <= columns; j += kLanes) {
      WeighBackward(pass, k, i, first + j, kLanes, row + j, d_send + first + j, sum);
    }
    if (j < columns) {
      WeighBackward(pass, k, i, first + j, columns - j, row + j, d_send + first + j, sum);
    }
    d_receive[i] = Sum(sum);
  }
  RunProduct({columns, width, n, weights.get(), 1, columns, pass.d_result.first[k],
              pass.d_result.stride, pass.d_nodes.Row(k, first), pass.d_nodes.stride,
              /*accumulate=*/false});
}

void BetweenModalitiesBackward(const HighFrequencyPass& pass, int64_t first, int64_t last,
                               float* d_weights) {
  const int64_t num_modalities = pass.num_modalities, n = pass.length, width = pass.width;
  std::vector<float> gates(GatesSize(pass));
  for (int64_t i = first; i < last; ++i) {
    GatesBetween(pass, i, gates.data());
    for (int64_t to = 0; to < num_modalities; ++to) {
      const float* d_target = pass.d_result.Row(to, i);
      for (int64_t from = 0; from < num_modalities; ++from) {
        if (from == to) continue;
        float& gate = gates[to * num_modalities + from];
        const float d_argument =
            Dot(d_target, pass.nodes.Row(from, i), width) * pass.between[i] * (1.0F - gate * gate);
        pass.d_receive[to * n + i] += d_argument;
        pass.d_send[from * n + i] += d_argument;
        gate *= pass.between[i];
      }
      gates[to * num_modalities + to] = 1;  // the node itself
    }
    for (int64_t k = 0; k < num_modalities; ++k) {
      const float d_receive = pass.d_receive[k * n + i], d_send = pass.d_send[k * n + i];
      const float* x = pass.nodes.Row(k, i);
      float* d_x = pass.d_nodes.Row(k, i);
      for (int64_t to = 0; to < num_modalities; ++to) {
        Add(gates[to * num_modalities + k], pass.d_result.Row(to, i), d_x, width);
      }
      Add(d_receive, pass.receive_weight, d_x, width);
      Add(d_send, pass.send_weight, d_x, width);
      Add(d_receive, x, d_weights, width);
      Add(d_send, x, d_weights + width, width);
      d_weights[2 * width] += d_receive;
    }
  }
}

constexpr HighFrequencyKernels kKernels = {BetweenModalities, WithinModality,
                                           WithinModalityBackward, BetweenModalitiesBackward};

const HighFrequencyKernels* Kernels() { return &kKernels; }

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace cmerc::kernels
HWY_AFTER_NAMESPACE();
