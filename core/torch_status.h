// Where LibTorch's exceptions end and absl::Status begins.
#ifndef CMERC_CORE_TORCH_STATUS_H_
#define CMERC_CORE_TORCH_STATUS_H_

#include <exception>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cmerc {

// OutOfMemoryError and what the CPU allocator throws -> ResourceExhausted; index, value and type
// errors -> InvalidArgument; any other -> Internal. The message has no backtrace.
absl::Status StatusFromException(const std::exception& exception);

// Runs `f`, which may throw: StatusOr<what f returns>.
template <typename F>
auto CatchTorch(F&& f) -> absl::StatusOr<decltype(f())> {
  try {
    return std::forward<F>(f)();
  } catch (const std::exception& exception) {
    return StatusFromException(exception);
  }
}

}  // namespace cmerc

#endif  // CMERC_CORE_TORCH_STATUS_H_
