#include "kernels/cpu/row_kernels.h"

#include "kernels/cpu/highway_targets.h"

// Includes the file once for each instruction set, and defines HWY_NAMESPACE.
#define HWY_TARGET_INCLUDE "kernels/cpu/row_kernels-inl.h"
#include "hwy/foreach_target.h"
#include "kernels/cpu/row_kernels-inl.h"

namespace cmerc::kernels {
namespace {

HWY_EXPORT(SquaresInRow);
HWY_EXPORT(DotInRows);
HWY_EXPORT(AddInRow);

}  // namespace

double SumOfSquares(const float* numbers, int64_t size) {
  return HWY_DYNAMIC_DISPATCH(SquaresInRow)(numbers, size);
}

float DotOfRows(const float* a, const float* b, int64_t width) {
  return HWY_DYNAMIC_DISPATCH(DotInRows)(a, b, width);
}

void AddRow(float factor, const float* from, float* to, int64_t width) {
  HWY_DYNAMIC_DISPATCH(AddInRow)(factor, from, to, width);
}

}  // namespace cmerc::kernels
