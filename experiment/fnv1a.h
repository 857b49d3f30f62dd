// FNV-1a (Fowler, Noll and Vo), 64 bits: digests that tell files and texts apart where nobody tries
// to make two alike.
#ifndef CMERC_EXPERIMENT_FNV1A_H_
#define CMERC_EXPERIMENT_FNV1A_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace cmerc {

// The digest of no bytes.
inline constexpr uint64_t kFnv1aOfNothing = 14695981039346656037u;

// The digest of the bytes that `before` is the digest of, with these behind them.
inline uint64_t Fnv1a(absl::string_view bytes, uint64_t before = kFnv1aOfNothing) {
  for (const char c : bytes) before = (before ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return before;
}

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_FNV1A_H_
