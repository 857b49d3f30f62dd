// The instruction sets that the kernels are compiled for, whatever the compiler's flags.
#ifndef CMERC_KERNELS_CPU_INSTRUCTION_SET_H_
#define CMERC_KERNELS_CPU_INSTRUCTION_SET_H_

#include <cstdint>
#include <string>
#include <vector>

namespace cmerc::kernels {

// The name of the one that the kernels use, the best that this processor has: "AVX-512", "AVX2",
// "SSSE3", "NEON", or "SCALAR" for none.
std::string InstructionSetName();

// Those that this processor has, best first, for UseInstructionSet().
std::vector<int64_t> InstructionSets();

// For tests: lets all kernels that are called, or looked up, from now on use `instruction_set`; 0
// for the best again. Not while other threads run kernels.
void UseInstructionSet(int64_t instruction_set);

}  // namespace cmerc::kernels

#endif  // CMERC_KERNELS_CPU_INSTRUCTION_SET_H_
