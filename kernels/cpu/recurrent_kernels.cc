#include "kernels/cpu/recurrent_kernels.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/cpu/highway_targets.h"
#include "kernels/cpu/scratch.h"

namespace cmerc {
namespace {

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// target[k * target_stride + i] = source[i * source_stride + k] for i < width, k < depth.
void Transpose(const float* source, int64_t source_stride, int64_t width, int64_t depth,
               float* target, int64_t target_stride) {
  using Quad = float __attribute__((vector_size(16)));
  const int64_t whole_width = width / 4 * 4;
  const int64_t whole_depth = depth / 4 * 4;
  for (int64_t i = 0; i < whole_width; i += 4) {
    for (int64_t k = 0; k < whole_depth; k += 4) {
      Quad rows[4];
      for (int q = 0; q < 4; ++q) {
        std::memcpy(&rows[q], source + (i + q) * source_stride + k, sizeof(Quad));
      }
      const Quad low01 = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5);
      const Quad low23 = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
      const Quad high01 = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
      const Quad high23 = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
      const Quad columns[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5),
                               __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                               __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
                               __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
      for (int q = 0; q < 4; ++q) {
        std::memcpy(target + (k + q) * target_stride + i, &columns[q], sizeof(Quad));
      }
    }
  }
  for (int64_t i = 0; i < width; ++i) {
    for (int64_t k = i < whole_width ? whole_depth : 0; k < depth; ++k) {
      target[k * target_stride + i] = source[i * source_stride + k];
    }
  }
}

// Copies a [width, depth] to panels of kWidth, [width / kWidth, depth, kWidth], the last one filled
// up with zeros. Of the two strides of a, one is 1.
template <int64_t kWidth>
void PackPanels(const float* source, int64_t width_stride, int64_t depth_stride, int64_t width,
                int64_t depth, float* packed) {
  for (int64_t first = 0; first < width; first += kWidth, packed += kWidth * depth) {
    const int64_t count = std::min(kWidth, width - first);
    const float* from = source + first * width_stride;
    if (count < kWidth) std::fill(packed, packed + kWidth * depth, 0.0F);
    if (depth_stride == 1) {
      Transpose(from, width_stride, count, depth, packed, kWidth);
    } else if (count < kWidth) {
      for (int64_t k = 0; k < depth; ++k) {
        std::copy(from + k * depth_stride, from + k * depth_stride + count, packed + k * kWidth);
      }
    } else {
      for (int64_t k = 0; k < depth; ++k) {
        std::memcpy(packed + k * kWidth, from + k * depth_stride, kWidth * sizeof(float));
      }
    }
  }
}

// Calls body(t, number of conversations longer than t), in the order of time or against it.
template <typename Body>
void ForEachStep(const ConversationRows& conversations, bool descending, const Body& body) {
  const int64_t longest = conversations.lengths[0];
  int64_t running = descending ? 0 : conversations.count;
  for (int64_t step = 0; step < longest; ++step) {
    const int64_t t = descending ? longest - 1 - step : step;
    while (running < conversations.count && conversations.lengths[running] > t) ++running;
    while (conversations.lengths[running - 1] <= t) --running;
    body(t, running);
  }
}

}  // namespace
}  // namespace cmerc

// Includes the file once for each instruction set, and defines HWY_NAMESPACE.
#define HWY_TARGET_INCLUDE "kernels/cpu/recurrent_kernels-inl.h"
#include "hwy/foreach_target.h"
#include "kernels/cpu/recurrent_kernels-inl.h"

namespace cmerc {
namespace {

HWY_EXPORT(GruKernels);
HWY_EXPORT(LstmKernels);

}  // namespace

const RecurrentKernels& BestRecurrentKernels(RecurrentCell cell) {
  return cell == RecurrentCell::kGru ? *HWY_DYNAMIC_DISPATCH(GruKernels)()
                                     : *HWY_DYNAMIC_DISPATCH(LstmKernels)();
}

}  // namespace cmerc
