// What a fuzz target holds its reader to, besides not crashing.
#ifndef CMERC_TESTS_FUZZ_LAW_H_
#define CMERC_TESTS_FUZZ_LAW_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace cmerc::fuzz {

// Prints `law` and `details` and aborts where it does not hold: libFuzzer then keeps the input.
void Law(bool holds, absl::string_view law, absl::string_view details = "");

// An error is InvalidArgument, says something, and its message begins with `place`.
void CheckError(const absl::Status& status, absl::string_view place = "");

// Counts what operator new hands out on this thread while it lives, at its peak, in bytes.
class PeakMemory {
 public:
  PeakMemory();

  // Breaks the law where the peak is above per_byte * input + base.
  void CheckAtMost(size_t input, double per_byte, size_t base) const;

 private:
  const int64_t before_;
};

}  // namespace cmerc::fuzz

#endif  // CMERC_TESTS_FUZZ_LAW_H_
