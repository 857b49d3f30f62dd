// How matrices are packed for tiles of vectors, for one instruction set; included once for each, by
// recurrent_kernels-inl.h.
#include "kernels/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace cmerc::kernels {
namespace {
namespace HWY_NAMESPACE {

// target[k * target_stride + i] = source[i * source_stride + k] for i < 4, k < 4.
HWY_INLINE void TransposeQuads(const float* source, int64_t source_stride, float* target,
                               int64_t target_stride) {
#if HWY_MAX_BYTES >= 16
  const Quad quad;
  hn::Vec<Quad> rows[4];
  for (int q = 0; q < 4; ++q) rows[q] = hn::LoadU(quad, source + q * source_stride);
  const auto low01 = hn::InterleaveLower(quad, rows[0], rows[1]);
  const auto low23 = hn::InterleaveLower(quad, rows[2], rows[3]);
  const auto high01 = hn::InterleaveUpper(quad, rows[0], rows[1]);
  const auto high23 = hn::InterleaveUpper(quad, rows[2], rows[3]);
  hn::StoreU(hn::ConcatLowerLower(quad, low23, low01), quad, target);
  hn::StoreU(hn::ConcatUpperUpper(quad, low23, low01), quad, target + target_stride);
  hn::StoreU(hn::ConcatLowerLower(quad, high23, high01), quad, target + 2 * target_stride);
  hn::StoreU(hn::ConcatUpperUpper(quad, high23, high01), quad, target + 3 * target_stride);
#else
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t k = 0; k < 4; ++k) target[k * target_stride + i] = source[i * source_stride + k];
  }
#endif
}

// target[k * target_stride + i] = source[i * source_stride + k] for i < width, k < depth.
void Transpose(const float* source, int64_t source_stride, int64_t width, int64_t depth,
               float* target, int64_t target_stride) {
  const int64_t whole_width = width / 4 * 4;
  const int64_t whole_depth = depth / 4 * 4;
  for (int64_t i = 0; i < whole_width; i += 4) {
    for (int64_t k = 0; k < whole_depth; k += 4) {
      TransposeQuads(source + i * source_stride + k, source_stride, target + k * target_stride + i,
                     target_stride);
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

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace cmerc::kernels
HWY_AFTER_NAMESPACE();
