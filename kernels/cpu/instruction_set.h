// The instruction sets that kernels are compiled for, whatever the compiler's flags.
#ifndef CMERC_KERNELS_CPU_INSTRUCTION_SET_H_
#define CMERC_KERNELS_CPU_INSTRUCTION_SET_H_

namespace cmerc {

enum class InstructionSet { kAvx512, kAvx2, kBaseline };  // best first

inline bool ProcessorHas(InstructionSet instructions) {
  switch (instructions) {
#ifdef __x86_64__
    case InstructionSet::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
    case InstructionSet::kAvx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif  // __x86_64__
    case InstructionSet::kBaseline:
      return true;
    default:
      return false;
  }
}

inline InstructionSet BestInstructionSet() {
  if (ProcessorHas(InstructionSet::kAvx512)) return InstructionSet::kAvx512;
  if (ProcessorHas(InstructionSet::kAvx2)) return InstructionSet::kAvx2;
  return InstructionSet::kBaseline;
}

// The instance of some kernels for `instructions`; nullptr where this processor lacks them.
template <typename Kernels>
const Kernels* InstanceFor(InstructionSet instructions, const Kernels& avx512, const Kernels& avx2,
                           const Kernels& baseline) {
  if (!ProcessorHas(instructions)) return nullptr;
  switch (instructions) {
    case InstructionSet::kAvx512:
      return &avx512;
    case InstructionSet::kAvx2:
      return &avx2;
    default:
      return &baseline;
  }
}

}  // namespace cmerc

#endif  // CMERC_KERNELS_CPU_INSTRUCTION_SET_H_
