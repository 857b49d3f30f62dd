// Random numbers that are the same on every machine: the standard fixes what std::mt19937_64 yields
// but not what its distributions do, nor the last bit of log() and cos().
#ifndef CMERC_DATASETS_ASSEMBLY_RANDOM_H_
#define CMERC_DATASETS_ASSEMBLY_RANDOM_H_

#include <cstdint>
#include <random>

namespace cmerc {

class PortableRandom {
 public:
  // Streams of one seed are unrelated to each other.
  PortableRandom(uint64_t seed, uint64_t stream) : engine_(Mix(Mix(seed) + stream)) {}

  // Draws uniformly from [0, 1), a multiple of 2^-53.
  double Uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

  // Draws uniformly from {0, ..., n - 1}; n is in [1, 2^32), where the bias is below 2^-32.
  int64_t Below(int64_t n) {
    return static_cast<int64_t>(((engine_() >> 32) * static_cast<uint64_t>(n)) >> 32);
  }

  // Draws with mean 0 and deviation 1, within +-6: the sum of twelve uniform 16-bit integers, so
  // that no rounding and no libm are involved.
  float Normal() {
    int32_t sum = 0;
    for (int draw = 0; draw < 3; ++draw) {
      const uint64_t bits = engine_();
      sum += static_cast<int32_t>((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) +
                                  (bits >> 48));
    }
    return static_cast<float>(sum - 6 * 65535) * 0x1p-16f;
  }

 private:
  // SplitMix64's finalizer: seeds that differ in one bit end far apart.
  static uint64_t Mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  std::mt19937_64 engine_;
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_ASSEMBLY_RANDOM_H_
