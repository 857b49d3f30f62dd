#include "kernels/cpu/dialogue_rnn_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/cpu/highway_targets.h"

namespace cmerc::kernels {
namespace {

// The functions of the header for one instruction set.
template <typename T>
struct Kernels {
  void (*add_scaled)(T factor, const T* from, int64_t width, T* to);
  void (*start_gru_gates)(const GruInputs<T>& row, int64_t width, T* gates, T* gated);
  void (*start_gru_fresh)(const GruInputs<T>& row, const T* reset, const T* gated, int64_t width,
                          T* fresh);
  void (*finish_gru_state)(const T* update, const T* fresh, const T* before, int64_t width,
                           T* state);
  void (*gru_row_backward)(const GruRow<T>& row, int64_t width, T* d_state, T* d_input, T* d_sums);
  void (*attend)(const AttentionQuery<T>& query, const T* states, T* alpha, T* gathered);
  void (*attend_backward)(const AttentionQuery<T>& query, const T* states, const T* alpha,
                          const T* d_gathered, T* scratch, T* d_states, T* d_query);
};

}  // namespace
}  // namespace cmerc::kernels

// Includes the file once for each instruction set, and defines HWY_NAMESPACE.
#define HWY_TARGET_INCLUDE "kernels/cpu/dialogue_rnn_kernels-inl.h"
#include "hwy/foreach_target.h"
#include "kernels/cpu/dialogue_rnn_kernels-inl.h"

namespace cmerc::kernels {
namespace {

HWY_EXPORT(FloatKernels);
HWY_EXPORT(DoubleKernels);

// Those for the best instruction set that this processor has.
template <typename T>
const Kernels<T>& Best() {
  if constexpr (std::is_same_v<T, float>) {
    return *HWY_DYNAMIC_DISPATCH(FloatKernels)();
  } else {
    return *HWY_DYNAMIC_DISPATCH(DoubleKernels)();
  }
}

}  // namespace

template <typename T>
void AddScaled(T factor, const T* from, int64_t width, T* to) {
  Best<T>().add_scaled(factor, from, width, to);
}

template <typename T>
void StartGruGates(const GruInputs<T>& row, int64_t width, T* gates, T* gated) {
  Best<T>().start_gru_gates(row, width, gates, gated);
}

template <typename T>
void StartGruFresh(const GruInputs<T>& row, const T* reset, const T* gated, int64_t width,
                   T* fresh) {
  Best<T>().start_gru_fresh(row, reset, gated, width, fresh);
}

template <typename T>
void FinishGruState(const T* update, const T* fresh, const T* before, int64_t width, T* state) {
  Best<T>().finish_gru_state(update, fresh, before, width, state);
}

template <typename T>
void GruRowBackward(const GruRow<T>& row, int64_t width, T* d_state, T* d_input, T* d_sums) {
  Best<T>().gru_row_backward(row, width, d_state, d_input, d_sums);
}

template <typename T>
void Attend(const AttentionQuery<T>& query, const T* states, T* alpha, T* gathered) {
  Best<T>().attend(query, states, alpha, gathered);
}

template <typename T>
void AttendBackward(const AttentionQuery<T>& query, const T* states, const T* alpha,
                    const T* d_gathered, T* scratch, T* d_states, T* d_query) {
  Best<T>().attend_backward(query, states, alpha, d_gathered, scratch, d_states, d_query);
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

}  // namespace cmerc::kernels
