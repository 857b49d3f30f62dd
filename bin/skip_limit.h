// How many conversations `cmerc predict --on_error=SKIP` may leave out: --max_skipped.
#ifndef CMERC_BIN_SKIP_LIMIT_H_
#define CMERC_BIN_SKIP_LIMIT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cmerc {

class SkipLimit {
 public:
  // No limit.
  SkipLimit() = default;
  // "10": so many conversations; "2.5%": such a share of all. InvalidArgument, with
  // "--max_skipped=" in front: neither.
  static absl::StatusOr<SkipLimit> Parse(const std::string& text);

  // InvalidArgument: more than the number have been left out. A share is not looked at before the
  // end.
  absl::Status CheckSoFar(int64_t skipped) const;
  // InvalidArgument: more have been left out of `all` conversations than the limit allows.
  absl::Status CheckAtEnd(int64_t skipped, int64_t all) const;

 private:
  std::string text_;
  std::optional<int64_t> number_;  // this or ...
  std::optional<double> percent_;  // ... this, or neither
};

}  // namespace cmerc

#endif  // CMERC_BIN_SKIP_LIMIT_H_
