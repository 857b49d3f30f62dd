#include "kernels/cpu/instruction_set.h"

#include "kernels/cpu/highway_targets.h"

namespace cmerc::kernels {

std::string InstructionSetName() {
  const int64_t best = InstructionSets().front();
  return best == HWY_AVX3 ? "AVX-512" : hwy::TargetName(best);
}

std::vector<int64_t> InstructionSets() { return hwy::SupportedAndGeneratedTargets(); }

void UseInstructionSet(int64_t instruction_set) {
  hwy::SetSupportedTargetsForTest(instruction_set);
}

}  // namespace cmerc::kernels
