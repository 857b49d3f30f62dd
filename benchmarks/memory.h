// Memory of this process.
#ifndef CMERC_BENCHMARKS_MEMORY_H_
#define CMERC_BENCHMARKS_MEMORY_H_

namespace cmerc {

// Resident now, and at its highest since the start or the last reset, in MB of 10^6 bytes.
double ResidentMegabytes();
double PeakMegabytes();

// Gives free memory back to the system and lets the peak begin anew.
void ResetPeakMemory();

}  // namespace cmerc

#endif  // CMERC_BENCHMARKS_MEMORY_H_
