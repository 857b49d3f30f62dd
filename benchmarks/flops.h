// The arithmetic of a benchmark's iteration, and how near it comes to what the machine can do.
#ifndef CMERC_BENCHMARKS_FLOPS_H_
#define CMERC_BENCHMARKS_FLOPS_H_

#include <benchmark/benchmark.h>

#include <functional>

namespace cmerc {

// Runs `iteration` once and adds two counters: gflop, its floating-point operations in 10^9 (those
// of matrix products and of this project's own kernels), and peak_share, these per second of the
// benchmark over what a product of two 1024 x 1024 float32 matrices reaches.
void CountFlops(benchmark::State& state, const std::function<void()>& iteration);

}  // namespace cmerc

#endif  // CMERC_BENCHMARKS_FLOPS_H_
