#include "kernels/cpu/dialogue_rnn_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cmerc::dialogue_rnn {
namespace {

template <typename T>
T Dot(const T* a, const T* b, int64_t size) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < size; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

template <typename T>
void AddScaled(T factor, const T* from, int64_t width, T* to) {
#pragma omp simd
  for (int64_t i = 0; i < width; ++i) to[i] += factor * from[i];
}

template <typename T>
void StartGruGates(const GruInputs<T>& row, int64_t width, T* gates, T* gated) {
  const T* const x = row.input;
  const T* const y = row.more;
  const T* const sums = row.sums;
  const T* const bias = row.bias;
#pragma omp simd
  for (int64_t j = 0; j < 2 * width; ++j) gates[j] = x[j] + y[j] + sums[j] + bias[j];
  const T* const new_sums = sums + 2 * width;
  const T* const new_bias = bias + 2 * width;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) gated[j] = new_sums[j] + new_bias[j];
}

template <typename T>
void StartGruFresh(const GruInputs<T>& row, const T* reset, const T* gated, int64_t width,
                   T* fresh) {
  const T* const x = row.input + 2 * width;
  const T* const y = row.more + 2 * width;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) fresh[j] = x[j] + y[j] + reset[j] * gated[j];
}

template <typename T>
void FinishGruState(const T* update, const T* fresh, const T* before, int64_t width, T* state) {
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) state[j] = (before[j] - fresh[j]) * update[j] + fresh[j];
}

template <typename T>
void GruRowBackward(const GruRow<T>& row, int64_t width, T* d_state, T* d_input, T* d_sums) {
  const T* const reset = row.gates;
  const T* const update = row.gates + width;
  const T* const fresh = row.fresh;
  const T* const gated = row.gated;
  const T* const before = row.before;
#pragma omp simd
  for (int64_t j = 0; j < width; ++j) {
    const T gradient = d_state[j];
    const T d_fresh = gradient * (1 - update[j]) * (1 - fresh[j] * fresh[j]);
    const T d_reset = d_fresh * gated[j] * reset[j] * (1 - reset[j]);
    const T d_update = gradient * (before[j] - fresh[j]) * update[j] * (1 - update[j]);
    d_input[j] = d_reset;
    d_input[width + j] = d_update;
    d_input[2 * width + j] = d_fresh;
    d_sums[j] = d_reset;
    d_sums[width + j] = d_update;
    d_sums[2 * width + j] = d_fresh * reset[j];
    d_state[j] = gradient * update[j];
  }
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

#define CMERC_INSTANCES(T)                                                                        \
  template void AddScaled<T>(T, const T*, int64_t, T*);                                           \
  template void StartGruGates<T>(const GruInputs<T>&, int64_t, T*, T*);                           \
  template void StartGruFresh<T>(const GruInputs<T>&, const T*, const T*, int64_t, T*);           \
  template void FinishGruState<T>(const T*, const T*, const T*, int64_t, T*);                     \
  template void GruRowBackward<T>(const GruRow<T>&, int64_t, T*, T*, T*);                         \
  template void Attend<T>(const AttentionQuery<T>&, const T*, T*, T*);                            \
  template void AttendBackward<T>(const AttentionQuery<T>&, const T*, const T*, const T*, T*, T*, \
                                  T*)
CMERC_INSTANCES(float);
CMERC_INSTANCES(double);
#undef CMERC_INSTANCES

}  // namespace cmerc::dialogue_rnn
