// The loop of Adam's step, vectorized for what the processor offers. No LibTorch here: pointers to
// float32 in memory.
#ifndef CMERC_KERNELS_CPU_ADAM_KERNELS_H_
#define CMERC_KERNELS_CPU_ADAM_KERNELS_H_

#include <cstdint>

namespace cmerc::kernels {

// What a step has for all numbers of a parameter.
struct AdamFactors {
  float keep;         // what the parameter is multiplied by first: decoupled weight decay, or 1
  float decay;        // weight decay, which is added to the gradient
  float keep1, add1;  // the first moment becomes keep1 * itself + add1 * gradient
  float keep2, add2;  // the second, with the gradient's square
  float rate;         // the learning rate, corrected for the step
  float correction;   // of the second moment's root
  float epsilon;
};

// `gradient` may be null, for 0.
struct AdamNumbers {
  const float* gradient;
  float* parameter;
  float* first_moment;
  float* second_moment;
};

// Steps the numbers [begin, end):
//
//   parameter = keep * parameter
//   g = gradient + decay * parameter
//   first_moment = keep1 * first_moment + add1 * g
//   second_moment = keep2 * second_moment + add2 * g * g
//   parameter -= rate * first_moment / (sqrt(second_moment) * correction + epsilon)
//
// Every operation is rounded by itself, from left to right: the same bits on every processor.
void UpdateAdam(const AdamFactors& factors, const AdamNumbers& numbers, int64_t begin, int64_t end);

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CPU_ADAM_KERNELS_H_
