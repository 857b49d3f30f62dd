#include "datasets/formats/finite.h"

#include <cstdint>
#include <cstring>

namespace cmerc::datasets {
namespace {

// Whether any of N floats is infinite or NaN: has all bits of its exponent set. Without a branch,
// so that the compiler makes vector instructions of it for a constant N.
template <size_t N>
bool HasNonFinite(const float* data) {
  uint32_t bits[N];
  std::memcpy(bits, data, sizeof(bits));
  uint32_t found = 0;
  for (size_t i = 0; i < N; ++i) found |= (bits[i] & 0x7f800000u) == 0x7f800000u;
  return found != 0;
}

}  // namespace

bool AllFinite(absl::Span<const float> values) {
  constexpr size_t kBlock = 64;
  size_t i = 0;
  for (; i + kBlock <= values.size(); i += kBlock) {
    if (HasNonFinite<kBlock>(values.data() + i)) return false;
  }
  for (; i < values.size(); ++i) {
    if (HasNonFinite<1>(values.data() + i)) return false;
  }
  return true;
}

}  // namespace cmerc::datasets
