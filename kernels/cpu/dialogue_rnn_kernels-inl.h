// The kernels for the vectors of one instruction set, Highway's HWY_NAMESPACE; included by
// dialogue_rnn_kernels.cc once for each.
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace cmerc::kernels {
namespace {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Calls body(tag, j) for the numbers [j, j + lanes of the tag), until those of [begin, end) are
// done: for whole vectors first, and then for a half, a quarter, and so on to a single number.
template <typename Tag, typename Body>
HWY_INLINE void ForEachVector(Tag tag, int64_t begin, int64_t end, const Body& body) {
  constexpr int64_t kLanes = hn::MaxLanes(Tag());
  for (; begin + kLanes <= end; begin += kLanes) body(tag, begin);
  if constexpr (kLanes > 1) ForEachVector(hn::Half<Tag>(), begin, end, body);
}

// a . b, of four sums beside each other in float32 and two in float64, whatever the width of
// vectors: more would change the order of additions.
template <typename T>
HWY_INLINE T Dot(const T* a, const T* b, int64_t width) {
  constexpr int64_t kSums = 16 / sizeof(T);
  const hn::CappedTag<T, kSums> tag;
  constexpr int64_t kLanes = hn::MaxLanes(tag);
  constexpr int64_t kVectors = kSums / kLanes;
  hn::Vec<decltype(tag)> vectors[kVectors];
  for (auto& vector : vectors) vector = hn::Zero(tag);
  int64_t i = 0;
  for (; i + kSums <= width; i += kSums) {
    for (int64_t v = 0; v < kVectors; ++v) {
      const int64_t at = i + v * kLanes;
      vectors[v] = hn::Add(vectors[v], hn::Mul(hn::LoadU(tag, a + at), hn::LoadU(tag, b + at)));
    }
  }
  T sums[kSums];
  for (int64_t v = 0; v < kVectors; ++v) hn::StoreU(vectors[v], tag, sums + v * kLanes);
  for (; i < width; ++i) sums[0] += a[i] * b[i];
  T sum = 0;
  for (const T one : sums) sum += one;
  return sum;
}

template <typename T>
HWY_INLINE void AddScaled(T factor, const T* from, int64_t width, T* to) {
  ForEachVector(hn::ScalableTag<T>(), 0, width, [=](auto tag, int64_t j) {
    const auto scaled = hn::Mul(hn::Set(tag, factor), hn::LoadU(tag, from + j));
    hn::StoreU(hn::Add(hn::LoadU(tag, to + j), scaled), tag, to + j);
  });
}

template <typename T>
void StartGruGates(const GruInputs<T>& row, int64_t width, T* gates, T* gated) {
  const T* const x = row.input;
  const T* const y = row.more;
  const T* const sums = row.sums;
  const T* const bias = row.bias;
  ForEachVector(hn::ScalableTag<T>(), 0, 2 * width, [=](auto tag, int64_t j) {
    const auto inputs = hn::Add(hn::LoadU(tag, x + j), hn::LoadU(tag, y + j));
    const auto more = hn::Add(inputs, hn::LoadU(tag, sums + j));
    hn::StoreU(hn::Add(more, hn::LoadU(tag, bias + j)), tag, gates + j);
  });
  const T* const new_sums = sums + 2 * width;
  const T* const new_bias = bias + 2 * width;
  ForEachVector(hn::ScalableTag<T>(), 0, width, [=](auto tag, int64_t j) {
    hn::StoreU(hn::Add(hn::LoadU(tag, new_sums + j), hn::LoadU(tag, new_bias + j)), tag, gated + j);
  });
}

template <typename T>
void StartGruFresh(const GruInputs<T>& row, const T* reset, const T* gated, int64_t width,
                   T* fresh) {
  const T* const x = row.input + 2 * width;
  const T* const y = row.more + 2 * width;
  ForEachVector(hn::ScalableTag<T>(), 0, width, [=](auto tag, int64_t j) {
    const auto inputs = hn::Add(hn::LoadU(tag, x + j), hn::LoadU(tag, y + j));
    const auto kept = hn::Mul(hn::LoadU(tag, reset + j), hn::LoadU(tag, gated + j));
    hn::StoreU(hn::Add(inputs, kept), tag, fresh + j);
  });
}

template <typename T>
void FinishGruState(const T* update, const T* fresh, const T* before, int64_t width, T* state) {
  ForEachVector(hn::ScalableTag<T>(), 0, width, [=](auto tag, int64_t j) {
    const auto n = hn::LoadU(tag, fresh + j);
    const auto change = hn::Sub(hn::LoadU(tag, before + j), n);
    hn::StoreU(hn::Add(hn::Mul(change, hn::LoadU(tag, update + j)), n), tag, state + j);
  });
}

template <typename T>
void GruRowBackward(const GruRow<T>& row, int64_t width, T* d_state, T* d_input, T* d_sums) {
  const T* const reset = row.gates;
  const T* const update = row.gates + width;
  const T* const fresh = row.fresh;
  const T* const gated = row.gated;
  const T* const before = row.before;
  ForEachVector(hn::ScalableTag<T>(), 0, width, [=](auto tag, int64_t j) {
    const auto one = hn::Set(tag, T(1));
    const auto gradient = hn::LoadU(tag, d_state + j);
    const auto r = hn::LoadU(tag, reset + j);
    const auto z = hn::LoadU(tag, update + j);
    const auto n = hn::LoadU(tag, fresh + j);
    // The gradients of the arguments of the new gate, of reset and of update.
    const auto d_n = hn::Mul(hn::Mul(gradient, hn::Sub(one, z)), hn::Sub(one, hn::Mul(n, n)));
    const auto d_r = hn::Mul(hn::Mul(hn::Mul(d_n, hn::LoadU(tag, gated + j)), r), hn::Sub(one, r));
    const auto change = hn::Sub(hn::LoadU(tag, before + j), n);
    const auto d_z = hn::Mul(hn::Mul(hn::Mul(gradient, change), z), hn::Sub(one, z));
    hn::StoreU(d_r, tag, d_input + j);
    hn::StoreU(d_z, tag, d_input + width + j);
    hn::StoreU(d_n, tag, d_input + 2 * width + j);
    hn::StoreU(d_r, tag, d_sums + j);
    hn::StoreU(d_z, tag, d_sums + width + j);
    hn::StoreU(hn::Mul(d_n, r), tag, d_sums + 2 * width + j);
    hn::StoreU(hn::Mul(gradient, z), tag, d_state + j);
  });
}

template <typename T>
void Attend(const AttentionQuery<T>& query, const T* states, T* alpha, T* gathered) {
  constexpr T kNone = -std::numeric_limits<T>::infinity();
  const int64_t width = query.width;
  const auto state = [&](int64_t k) { return states + query.state[k] * width; };
  T highest = kNone;
  for (int64_t k = 0; k < query.count; ++k) {
    alpha[k] = query.state[k] < 0 ? kNone : Dot(query.vector, state(k), width);
    highest = std::max(highest, alpha[k]);
  }
  T sum = 0;
  for (int64_t k = 0; k < query.count; ++k) {
    alpha[k] = alpha[k] == kNone ? 0 : std::exp(alpha[k] - highest);
    sum += alpha[k];
  }
  std::fill_n(gathered, width, T(0));
  for (int64_t k = 0; k < query.count; ++k) {
    if (alpha[k] == 0) continue;
    alpha[k] /= sum;
    AddScaled(alpha[k], state(k), width, gathered);
  }
}

template <typename T>
void AttendBackward(const AttentionQuery<T>& query, const T* states, const T* alpha,
                    const T* d_gathered, T* scratch, T* d_states, T* d_query) {
  const int64_t width = query.width;
  std::fill_n(d_query, width, T(0));
  T mean = 0;
  for (int64_t k = 0; k < query.count; ++k) {
    if (alpha[k] == 0) continue;
    scratch[k] = Dot(d_gathered, states + query.state[k] * width, width);
    mean += alpha[k] * scratch[k];
  }
  for (int64_t k = 0; k < query.count; ++k) {
    if (alpha[k] == 0) continue;
    const T d_score = alpha[k] * (scratch[k] - mean);
    T* const d_state = d_states + query.state[k] * width;
    AddScaled(alpha[k], d_gathered, width, d_state);
    AddScaled(d_score, query.vector, width, d_state);
    AddScaled(d_score, states + query.state[k] * width, width, d_query);
  }
}

template <typename T>
constexpr Kernels<T> kKernels = {AddScaled<T>,      StartGruGates<T>,  StartGruFresh<T>,
                                 FinishGruState<T>, GruRowBackward<T>, Attend<T>,
                                 AttendBackward<T>};

const Kernels<float>* FloatKernels() { return &kKernels<float>; }
const Kernels<double>* DoubleKernels() { return &kKernels<double>; }

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace cmerc::kernels
HWY_AFTER_NAMESPACE();
