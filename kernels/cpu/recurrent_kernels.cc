#include "kernels/cpu/recurrent_kernels.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/cpu/highway_targets.h"
#include "kernels/cpu/scratch.h"

namespace cmerc::kernels {
namespace {

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

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
}  // namespace cmerc::kernels

// Includes the file once for each instruction set, and defines HWY_NAMESPACE.
#define HWY_TARGET_INCLUDE "kernels/cpu/recurrent_kernels-inl.h"
#include "hwy/foreach_target.h"
#include "kernels/cpu/recurrent_kernels-inl.h"

namespace cmerc::kernels {
namespace {

HWY_EXPORT(GruKernels);
HWY_EXPORT(LstmKernels);

}  // namespace

const RecurrentKernels& BestRecurrentKernels(RecurrentCell cell) {
  return cell == RecurrentCell::kGru ? *HWY_DYNAMIC_DISPATCH(GruKernels)()
                                     : *HWY_DYNAMIC_DISPATCH(LstmKernels)();
}

}  // namespace cmerc::kernels
