// The kernels for the vectors of one instruction set, Highway's HWY_NAMESPACE; included by
// recurrent_kernels.cc once for each.
#include "kernels/cpu/panels-inl.h"
#include "kernels/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace cmerc::kernels {
namespace {
namespace HWY_NAMESPACE {

// A matrix product goes through memory in blocks: of b, kDepthBlock x kTileVectors vectors stay in
// the first-level cache and kDepthBlock x kColumnBlock in the second-level one, beside kDepthBlock
// x kRowBlock of a.
constexpr int64_t kDepthBlock = 256;
constexpr int64_t kColumnBlock = 384;
constexpr int64_t kRowBlock = 8 * kTileRows;

void MultiplyTile(const float* a, const float* b, int64_t depth, bool accumulate, int64_t rows,
                  int64_t columns, float* c, int64_t c_stride) {
  Vec tile[kTileRows][kTileVectors];
  Clear(tile);
  Multiply(a, /*row_stride=*/1, /*depth_stride=*/kTileRows, depth, b, tile);
  for (int i = 0; i < kTileRows && i < rows; ++i) {
    for (int v = 0; v < kTileVectors && v * kLanes < columns; ++v) {
      float* target = c + i * c_stride + v * kLanes;
      const int64_t count = columns - v * kLanes;
      Store(target, accumulate ? hn::Add(tile[i][v], Load(target, count)) : tile[i][v], count);
    }
  }
}

void MultiplyMatrices(const MatrixProduct& product, int64_t first_column, int64_t last_column) {
  const Scratch scratch(kDepthBlock * (kRowBlock + kColumnBlock));
  float* a = scratch.get();
  float* b = a + kDepthBlock * kRowBlock;
  for (int64_t n = first_column; n < last_column; n += kColumnBlock) {
    const int64_t columns = std::min(kColumnBlock, last_column - n);
    for (int64_t k = 0; k < product.depth; k += kDepthBlock) {
      const int64_t depth = std::min(kDepthBlock, product.depth - k);
      const bool accumulate = product.accumulate || k > 0;
      PackPanels<kTileColumns>(product.b + n * product.b_column_stride + k * product.b_depth_stride,
                               product.b_column_stride, product.b_depth_stride, columns, depth, b);
      for (int64_t m = 0; m < product.rows; m += kRowBlock) {
        const int64_t rows = std::min(kRowBlock, product.rows - m);
        PackPanels<kTileRows>(product.a + m * product.a_row_stride + k * product.a_depth_stride,
                              product.a_row_stride, product.a_depth_stride, rows, depth, a);
        for (int64_t j = 0; j < columns; j += kTileColumns) {
          for (int64_t i = 0; i < rows; i += kTileRows) {
            MultiplyTile(a + i * depth, b + j * depth, depth, accumulate, rows - i, columns - j,
                         product.c + (m + i) * product.c_row_stride + n + j, product.c_row_stride);
          }
        }
      }
    }
  }
}

// One row and one vector of hidden units, forward and backward.
struct Gru {
  static constexpr int kGates = 3;
  // One bias for each of the reset, update and new gate, and one for what the reset gate
  // multiplies.
  static constexpr int kBiases = 4;

  static void PackBiases(int64_t h, int64_t unit, const float* ih, const float* hh, float* packed) {
    packed[0 * kLanes] = ih[unit] + hh[unit];
    packed[1 * kLanes] = ih[h + unit] + hh[h + unit];
    packed[2 * kLanes] = ih[2 * h + unit];
    packed[3 * kLanes] = hh[2 * h + unit];
  }

  // `sums` are hidden * weight_hh^T. Returns the new hidden units.
  static HWY_INLINE Vec Forward(const Vec (&sums)[kGates], const float* biases, int64_t h,
                                int64_t count, float* gates, float* kept, Vec hidden, Vec&) {
    const Vec reset = Sigmoid(hn::Add(hn::Add(Load(gates, count), sums[0]), Load(biases)));
    const Vec update =
        Sigmoid(hn::Add(hn::Add(Load(gates + h, count), sums[1]), Load(biases + kLanes)));
    const Vec gated = hn::Add(sums[2], Load(biases + 3 * kLanes));
    const Vec fresh = Tanh(
        hn::MulAdd(reset, gated, hn::Add(Load(gates + 2 * h, count), Load(biases + 2 * kLanes))));
    if (kept != nullptr) {
      Store(gates, reset, count);
      Store(gates + h, update, count);
      Store(gates + 2 * h, fresh, count);
      Store(kept, gated, count);
    }
    return hn::MulAdd(hn::Sub(hidden, fresh), update, fresh);
  }

  // From the gradient of the new hidden units to those of the gates, written to `gate_gradient`
  // and, as factors of weight_hh, to `sum_gradient`. Returns what goes to the old hidden units
  // directly.
  static HWY_INLINE Vec Backward(Vec gradient, int64_t h, int64_t count, const float* gates,
                                 const float* kept, const float*, Vec hidden, Vec&,
                                 float* gate_gradient, float* new_gradient, float* sum_gradient) {
    const Vec reset = Load(gates, count);
    const Vec update = Load(gates + h, count);
    const Vec fresh = Load(gates + 2 * h, count);
    const Vec d_update = hn::Mul(hn::Mul(hn::Mul(gradient, hn::Sub(hidden, fresh)), update),
                                 hn::Sub(All(1.0F), update));
    const Vec d_fresh = hn::Mul(hn::Mul(gradient, hn::Sub(All(1.0F), update)),
                                hn::NegMulAdd(fresh, fresh, All(1.0F)));
    const Vec d_reset =
        hn::Mul(hn::Mul(hn::Mul(d_fresh, Load(kept, count)), reset), hn::Sub(All(1.0F), reset));
    const Vec d_gated = hn::Mul(d_fresh, reset);
    Store(gate_gradient, d_reset, count);
    Store(gate_gradient + h, d_update, count);
    Store(gate_gradient + 2 * h, d_fresh, count);
    Store(new_gradient, d_gated, count);
    Store(sum_gradient, d_reset, count);
    Store(sum_gradient + h, d_update, count);
    Store(sum_gradient + 2 * h, d_gated, count);
    return hn::Mul(gradient, update);
  }
};

struct Lstm {
  static constexpr int kGates = 4;
  static constexpr int kBiases = 4;

  static void PackBiases(int64_t h, int64_t unit, const float* ih, const float* hh, float* packed) {
    for (int g = 0; g < kGates; ++g) packed[g * kLanes] = ih[g * h + unit] + hh[g * h + unit];
  }

  static HWY_INLINE Vec Forward(const Vec (&sums)[kGates], const float* biases, int64_t h,
                                int64_t count, float* gates, float* kept, Vec, Vec& cell) {
    const Vec input = Sigmoid(hn::Add(hn::Add(Load(gates, count), sums[0]), Load(biases)));
    const Vec forget =
        Sigmoid(hn::Add(hn::Add(Load(gates + h, count), sums[1]), Load(biases + kLanes)));
    const Vec fresh =
        Tanh(hn::Add(hn::Add(Load(gates + 2 * h, count), sums[2]), Load(biases + 2 * kLanes)));
    const Vec output =
        Sigmoid(hn::Add(hn::Add(Load(gates + 3 * h, count), sums[3]), Load(biases + 3 * kLanes)));
    cell = hn::MulAdd(forget, cell, hn::Mul(input, fresh));
    if (kept != nullptr) {
      Store(gates, input, count);
      Store(gates + h, forget, count);
      Store(gates + 2 * h, fresh, count);
      Store(gates + 3 * h, output, count);
      Store(kept, cell, count);
    }
    return hn::Mul(output, Tanh(cell));
  }

  // `kept_before` is null at the first step. `d_cell` comes in as the new cell's gradient and goes
  // out as the old one's.
  static HWY_INLINE Vec Backward(Vec gradient, int64_t h, int64_t count, const float* gates,
                                 const float* kept, const float* kept_before, Vec, Vec& d_cell,
                                 float* gate_gradient, float*, float* sum_gradient) {
    const Vec input = Load(gates, count);
    const Vec forget = Load(gates + h, count);
    const Vec fresh = Load(gates + 2 * h, count);
    const Vec output = Load(gates + 3 * h, count);
    const Vec squashed = Tanh(Load(kept, count));
    const Vec before = kept_before == nullptr ? Zero() : Load(kept_before, count);
    d_cell =
        hn::MulAdd(hn::Mul(gradient, output), hn::NegMulAdd(squashed, squashed, All(1.0F)), d_cell);
    const Vec d_input = hn::Mul(hn::Mul(hn::Mul(d_cell, fresh), input), hn::Sub(All(1.0F), input));
    const Vec d_forget =
        hn::Mul(hn::Mul(hn::Mul(d_cell, before), forget), hn::Sub(All(1.0F), forget));
    const Vec d_fresh = hn::Mul(hn::Mul(d_cell, input), hn::NegMulAdd(fresh, fresh, All(1.0F)));
    const Vec d_output =
        hn::Mul(hn::Mul(hn::Mul(gradient, squashed), output), hn::Sub(All(1.0F), output));
    for (float* target : {gate_gradient, sum_gradient}) {
      Store(target, d_input, count);
      Store(target + h, d_forget, count);
      Store(target + 2 * h, d_fresh, count);
      Store(target + 3 * h, d_output, count);
    }
    d_cell = hn::Mul(d_cell, forget);
    return Zero();
  }
};

// Packed for the forward pass: for each vector of hidden units, their biases and then, for each k,
// their G columns of weight_hh^T.
template <typename Cell>
int64_t ForwardWeightsSize(int64_t hidden_size) {
  return DivideUp(hidden_size, kLanes) * kLanes * (Cell::kBiases + hidden_size * Cell::kGates);
}

template <typename Cell>
void PackForward(int64_t hidden_size, const float* weight_hh, const float* bias_ih,
                 const float* bias_hh, float* packed) {
  const int64_t size = ForwardWeightsSize<Cell>(hidden_size);
  if (hidden_size % kLanes != 0) std::fill(packed, packed + size, 0.0F);
  for (int64_t first = 0; first < hidden_size; first += kLanes) {
    const int64_t count = std::min(kLanes, hidden_size - first);
    for (int64_t i = 0; i < count; ++i) {
      Cell::PackBiases(hidden_size, first + i, bias_ih, bias_hh, packed + i);
    }
    packed += Cell::kBiases * kLanes;
    for (int64_t gate = 0; gate < Cell::kGates; ++gate) {
      Transpose(weight_hh + (gate * hidden_size + first) * hidden_size, hidden_size, count,
                hidden_size, packed + gate * kLanes, Cell::kGates * kLanes);
    }
    packed += hidden_size * Cell::kGates * kLanes;
  }
}

// Packed for the backward pass: weight_hh in blocks of columns.
template <typename Cell>
int64_t BackwardWeightsSize(int64_t hidden_size) {
  return DivideUp(hidden_size, kTileColumns) * kTileColumns * Cell::kGates * hidden_size;
}

template <typename Cell>
void PackBackward(int64_t hidden_size, const float* weight_hh, float* packed) {
  PackPanels<kTileColumns>(weight_hh, /*width_stride=*/1, /*depth_stride=*/hidden_size, hidden_size,
                           Cell::kGates * hidden_size, packed);
}

// States of conversations at one step, [conversations, stride].
template <typename Cell>
struct ForwardBlock {
  const RecurrentForward& pass;
  int64_t depth;  // of the product with the hidden state; 0 where that is zero
  const int64_t* rows;
  const float* panel;
  int64_t first_unit;
  int64_t stride;
  const float* hidden;
  float* new_hidden;
  float* cell;

  template <int kRows>
  void Run(int64_t first) const {
    const int64_t h = pass.hidden_size;
    const int64_t count = h - first_unit;
    Vec sums[kRows][Cell::kGates];
    Clear(sums);
    Multiply(hidden + first * stride, stride, /*depth_stride=*/1, depth,
             panel + Cell::kBiases * kLanes, sums);
    for (int i = 0; i < kRows; ++i) {
      const int64_t row = rows[first + i];
      const int64_t state = (first + i) * stride + first_unit;
      Vec row_cell = Load(cell + state);
      const Vec result =
          Cell::Forward(sums[i], panel, h, count, pass.gates[row] + first_unit,
                        pass.kept.data == nullptr ? nullptr : pass.kept[row] + first_unit,
                        Load(hidden + state), row_cell);
      Store(cell + state, row_cell);
      Store(new_hidden + state, result);
      Store(pass.output[row] + first_unit, result, count);
    }
  }
};

template <typename Cell>
void Forward(const RecurrentForward& pass, const ConversationRows& conversations) {
  const int64_t panels = DivideUp(pass.hidden_size, kLanes);
  const int64_t panel_size = ForwardWeightsSize<Cell>(pass.hidden_size) / panels;
  const int64_t stride = panels * kLanes;
  const int64_t state_size = conversations.count * stride;
  const Scratch scratch(3 * state_size);
  float* hidden = scratch.get();
  std::fill(hidden, hidden + 3 * state_size, 0.0F);
  float* new_hidden = hidden + state_size;
  std::vector<int64_t> rows(conversations.count);
  ForEachStep(conversations, pass.reverse, [&](int64_t t, int64_t running) {
    int64_t begun = 0;  // conversations with a step before this one
    for (int64_t j = 0; j < running; ++j) {
      rows[j] = conversations.Row(conversations.starts[j] + t);
      if (pass.reverse ? t + 1 < conversations.lengths[j] : t > 0) begun = j + 1;
    }
    float* const cell = scratch.get() + 2 * state_size;
    const auto run = [&](int64_t p, int64_t first, int64_t last, int64_t depth) {
      const ForwardBlock<Cell> block{pass,
                                     depth,
                                     rows.data() + first,
                                     pass.packed_weights + p * panel_size,
                                     p * kLanes,
                                     stride,
                                     hidden + first * stride,
                                     new_hidden + first * stride,
                                     cell + first * stride};
      ForEachBlock<kAccumulators / Cell::kGates>(last - first, block);
    };
    for (int64_t p = 0; p < panels; ++p) {
      run(p, 0, begun, pass.hidden_size);
      run(p, begun, running, 0);
    }
    std::swap(hidden, new_hidden);
  });
}

// gradient [conversations, stride] += sum_gradient [conversations, depth] * weight_hh.
struct BackwardBlock {
  const float* panel;
  int64_t depth;
  const float* sum_gradient;
  float* gradient;
  int64_t stride;

  template <int kRows>
  void Run(int64_t first) const {
    Vec tile[kRows][kTileVectors];
    float* target = gradient + first * stride;
    for (int i = 0; i < kRows; ++i) {
      for (int v = 0; v < kTileVectors; ++v) tile[i][v] = Load(target + i * stride + v * kLanes);
    }
    Multiply(sum_gradient + first * depth, depth, /*depth_stride=*/1, depth, panel, tile);
    for (int i = 0; i < kRows; ++i) {
      for (int v = 0; v < kTileVectors; ++v) Store(target + i * stride + v * kLanes, tile[i][v]);
    }
  }
};

// Gradients at one row; `before` is the row before it in the pass, or -1.
template <typename Cell>
void BackwardRow(const RecurrentBackward& pass, int64_t row, int64_t before, float* gradient,
                 float* cell_gradient, float* sum_gradient) {
  const int64_t h = pass.hidden_size;
  float* previous = pass.previous[row];
  if (before < 0) {
    std::fill(previous, previous + h, 0.0F);
  } else {
    std::memcpy(previous, pass.output[before], h * sizeof(float));
  }
  for (int64_t unit = 0; unit < h; unit += kLanes) {
    const int64_t count = h - unit;
    Vec d_cell = Load(cell_gradient + unit);
    const Vec total = hn::Add(Load(gradient + unit), Load(pass.output_gradient[row] + unit, count));
    const Vec direct =
        Cell::Backward(total, h, count, pass.gates[row] + unit, pass.kept[row] + unit,
                       before < 0 ? nullptr : pass.kept[before] + unit,
                       Load(previous + unit, count), d_cell, pass.gate_gradient[row] + unit,
                       pass.new_gradient.data == nullptr ? nullptr : pass.new_gradient[row] + unit,
                       sum_gradient + unit);
    Store(gradient + unit, direct);
    Store(cell_gradient + unit, d_cell);
  }
}

template <typename Cell>
void Backward(const RecurrentBackward& pass, const ConversationRows& conversations) {
  const int64_t depth = Cell::kGates * pass.hidden_size;
  const int64_t panels = DivideUp(pass.hidden_size, kTileColumns);
  const int64_t stride = panels * kTileColumns;
  const int64_t state_size = conversations.count * stride;
  const Scratch scratch(2 * state_size + conversations.count * depth);
  float* gradient = scratch.get();
  std::fill(gradient, gradient + 2 * state_size, 0.0F);
  float* cell_gradient = gradient + state_size;
  float* sum_gradient = cell_gradient + state_size;
  ForEachStep(conversations, !pass.reverse, [&](int64_t t, int64_t running) {
    int64_t unfinished = 0;  // conversations with a step before this one
    for (int64_t j = 0; j < running; ++j) {
      const int64_t position = conversations.starts[j] + t;
      const bool first = pass.reverse ? t + 1 == conversations.lengths[j] : t == 0;
      if (!first) unfinished = j + 1;
      const int64_t before = first ? -1 : conversations.Row(position + (pass.reverse ? 1 : -1));
      BackwardRow<Cell>(pass, conversations.Row(position), before, gradient + j * stride,
                        cell_gradient + j * stride, sum_gradient + j * depth);
    }
    for (int64_t p = 0; p < panels; ++p) {
      const BackwardBlock block{pass.packed_weights + p * kTileColumns * depth, depth, sum_gradient,
                                gradient + p * kTileColumns, stride};
      ForEachBlock<kTileRows>(unfinished, block);
    }
  });
}

template <typename Cell>
constexpr RecurrentKernels kKernels = {ForwardWeightsSize<Cell>,
                                       BackwardWeightsSize<Cell>,
                                       PackForward<Cell>,
                                       PackBackward<Cell>,
                                       MultiplyMatrices,
                                       Forward<Cell>,
                                       Backward<Cell>};

const RecurrentKernels* GruKernels() { return &kKernels<Gru>; }

const RecurrentKernels* LstmKernels() { return &kKernels<Lstm>; }

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace cmerc::kernels
HWY_AFTER_NAMESPACE();
