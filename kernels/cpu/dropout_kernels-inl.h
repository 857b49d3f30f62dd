// The kernels for the vectors of one instruction set, Highway's HWY_NAMESPACE; included by
// dropout_kernels.cc once for each.
#include "kernels/cpu/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace cmerc::kernels {
namespace {
namespace HWY_NAMESPACE {

using Words = hn::ScalableTag<uint32_t>;
using Signed = hn::RebindToSigned<Words>;
using Bytes = hn::Rebind<uint8_t, Words>;
using WordVec = hn::Vec<Words>;

HWY_INLINE WordVec AllWords(uint32_t value) { return hn::Set(Words(), value); }

// words[i] = words[far] ^ twist(words[i], words[i + 1]), for the words of a vector.
HWY_INLINE void TwistVector(uint32_t* words, int i, int far) {
  const WordVec high = hn::And(hn::LoadU(Words(), words + i), AllWords(0x80000000U));
  const WordVec next = hn::LoadU(Words(), words + i + 1);
  const WordVec mixed = hn::Or(high, hn::And(next, AllWords(0x7FFFFFFFU)));
  const WordVec odd = hn::Sub(hn::Zero(Words()), hn::And(next, AllWords(1)));  // all bits or none
  const WordVec twisted = hn::Xor(hn::ShiftRight<1>(mixed), hn::And(odd, AllWords(0x9908B0DFU)));
  hn::StoreU(hn::Xor(hn::LoadU(Words(), words + far), twisted), Words(), words + i);
}

// Replaces all words.
void Refill(uint32_t* words) {
  constexpr int kFar = 397;
  constexpr int kVector = static_cast<int>(kLanes);
  int i = 0;
  for (; i + kVector <= kWords - kFar; i += kVector) TwistVector(words, i, i + kFar);
  for (; i < kWords - kFar; ++i) words[i] = words[i + kFar] ^ Twist(words[i], words[i + 1]);
  // Each reads what the 227 before it have not written yet: vectors are far shorter.
  for (; i + kVector <= kWords - 1; i += kVector) TwistVector(words, i, i + kFar - kWords);
  for (; i < kWords - 1; ++i) words[i] = words[i + kFar - kWords] ^ Twist(words[i], words[i + 1]);
  words[kWords - 1] = words[kFar - 1] ^ Twist(words[kWords - 1], words[0]);
}

HWY_INLINE WordVec Tempered(WordVec y) {
  y = hn::Xor(y, hn::ShiftRight<11>(y));
  y = hn::Xor(y, hn::And(hn::ShiftLeft<7>(y), AllWords(0x9D2C5680U)));
  y = hn::Xor(y, hn::And(hn::ShiftLeft<15>(y), AllWords(0xEFC60000U)));
  return hn::Xor(y, hn::ShiftRight<18>(y));
}

// numbers[0..count) from words[0..count).
void Temper(const uint32_t* words, int count, uint32_t* numbers) {
  constexpr int kVector = static_cast<int>(kLanes);
  int i = 0;
  for (; i + kVector <= count; i += kVector) {
    hn::StoreU(Tempered(hn::LoadU(Words(), words + i)), Words(), numbers + i);
  }
  if (i == count) return;
  uint32_t last[kVector] = {};
  std::copy(words + i, words + count, last);
  hn::StoreU(Tempered(hn::LoadU(Words(), last)), Words(), last);
  std::copy_n(last, count - i, numbers + i);
}

void Draw(MersenneTwister& twister, double probability, int64_t count, uint8_t* drawn) {
  // u = k * 2^-53 for an integer k, so u < probability where k < ceil(probability * 2^53). The
  // first random number has the upper 21 bits of k.
  const auto limit = static_cast<uint64_t>(std::ceil(std::ldexp(probability, 53)));
  const auto high_limit = static_cast<uint32_t>(limit >> 32);
  const auto low_limit = static_cast<uint32_t>(limit);
  constexpr int kPairs = 1024;
  uint32_t numbers[2 * kPairs];
  for (int64_t first = 0; first < count; first += kPairs) {
    const int pairs = static_cast<int>(std::min<int64_t>(kPairs, count - first));
    for (int filled = 0; filled < 2 * pairs;) {
      if (twister.left <= 1) {
        Refill(twister.words);
        twister.next = 0;
        twister.left = kWords + 1;
      }
      const int size = std::min(2 * pairs - filled, twister.left - 1);
      Temper(twister.words + twister.next, size, numbers + filled);
      twister.next += static_cast<uint32_t>(size);
      twister.left -= size;
      filled += size;
    }
    int i = 0;
    for (; i + kLanes <= pairs; i += static_cast<int>(kLanes)) {
      WordVec high, low;
      hn::LoadInterleaved2(Words(), numbers + 2 * i, high, low);
      high = hn::And(high, AllWords(0x1FFFFFU));
      const auto below =
          hn::Or(hn::Lt(high, AllWords(high_limit)),
                 hn::And(hn::Eq(high, AllWords(high_limit)), hn::Lt(low, AllWords(low_limit))));
      const auto bits = hn::IfThenElseZero(below, AllWords(1));
      hn::StoreU(hn::DemoteTo(Bytes(), hn::BitCast(Signed(), bits)), Bytes(), drawn + first + i);
    }
    for (; i < pairs; ++i) {
      const uint32_t high = numbers[2 * i] & 0x1FFFFFU;
      const uint32_t low = numbers[2 * i + 1];
      drawn[first + i] =
          static_cast<uint8_t>((high < high_limit) | ((high == high_limit) & (low < low_limit)));
    }
  }
}

// A vector of x[i] * (kept[i] * scale).
HWY_INLINE Vec Scaled(const float* x, const uint8_t* kept, float scale) {
  const auto integers = hn::PromoteTo(Signed(), hn::LoadU(Bytes(), kept));
  return hn::Mul(Load(x), hn::Mul(hn::ConvertTo(Floats(), integers), All(scale)));
}

void Scale(const float* x, const uint8_t* kept, float scale, int64_t count, float* y) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) Store(y + i, Scaled(x + i, kept + i, scale));
  for (; i < count; ++i) y[i] = x[i] * (static_cast<float>(kept[i]) * scale);
}

void ScalePositive(const float* x, float scale, int64_t count, uint8_t* kept, float* y) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vec value = Scaled(x + i, kept + i, scale);
    // NaN stays.
    Store(y + i, hn::IfThenElse(hn::Lt(value, Zero()), Zero(), value));
    const auto positive = hn::IfThenElseZero(hn::RebindMask(Signed(), hn::Gt(Load(x + i), Zero())),
                                             hn::PromoteTo(Signed(), hn::LoadU(Bytes(), kept + i)));
    hn::StoreU(hn::DemoteTo(Bytes(), positive), Bytes(), kept + i);
  }
  for (; i < count; ++i) {
    const float value = x[i] * (static_cast<float>(kept[i]) * scale);
    y[i] = value < 0 ? 0 : value;
    kept[i] &= static_cast<uint8_t>(x[i] > 0);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace
}  // namespace cmerc::kernels
HWY_AFTER_NAMESPACE();
