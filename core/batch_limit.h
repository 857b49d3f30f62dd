// For a backbone that cannot take batches of every size.
#ifndef CMERC_CORE_BATCH_LIMIT_H_
#define CMERC_CORE_BATCH_LIMIT_H_

#include <cstdint>
#include <string>

#include "absl/types/span.h"

namespace cmerc {

// A Backbone may be one of these, too. Whoever knows its batches before they are predicted asks it,
// so that a batch which is too large is said before hours of work.
class BatchLimit {
 public:
  virtual ~BatchLimit() = default;

  // Why a batch of conversations of `lengths` utterances each is refused, and which option leads
  // on; "" where it is not.
  virtual std::string WhyTooLarge(absl::Span<const int64_t> lengths) const = 0;
};

}  // namespace cmerc

#endif  // CMERC_CORE_BATCH_LIMIT_H_
