// Sums over rows of numbers, vectorized for what the processor offers.
#ifndef CMERC_KERNELS_CPU_ROW_KERNELS_H_
#define CMERC_KERNELS_CPU_ROW_KERNELS_H_

#include <cstdint>

namespace cmerc::kernels {

// The sum of the squares of `size` numbers, in float64: eight sums beside each other, in the same
// order on every processor.
double SumOfSquares(const float* numbers, int64_t size);

// The inner product of two rows of `width` numbers.
float DotOfRows(const float* a, const float* b, int64_t width);

// to += factor * from, for rows of `width` numbers.
void AddRow(float factor, const float* from, float* to, int64_t width);

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CPU_ROW_KERNELS_H_
