// Where LibTorch's exceptions end and absl::Status begins.
#ifndef CMERC_CORE_TORCH_STATUS_H_
#define CMERC_CORE_TORCH_STATUS_H_

#include <exception>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cmerc {

// ResourceExhausted for bad_alloc, LibTorch's OutOfMemoryError and what its CPU allocator throws;
// InvalidArgument for its index, value and type errors; Internal for any other exception. The
// message has no backtrace.
absl::Status StatusFromException(const std::exception& exception);

// What CatchTorch() makes of a function's result: nothing -> Status; a Status or a StatusOr stays;
// any other T -> StatusOr<T>.
template <typename T>
struct Caught {
  using Type = absl::StatusOr<T>;
};
template <>
struct Caught<void> {
  using Type = absl::Status;
};
template <>
struct Caught<absl::Status> {
  using Type = absl::Status;
};
template <typename T>
struct Caught<absl::StatusOr<T>> {
  using Type = absl::StatusOr<T>;
};

// Runs `f`, which may throw: what it returns, or what StatusFromException() makes of its exception.
template <typename F>
auto CatchTorch(F&& f) -> typename Caught<decltype(f())>::Type {
  try {
    if constexpr (std::is_void_v<decltype(f())>) {
      std::forward<F>(f)();
      return absl::OkStatus();
    } else {
      return std::forward<F>(f)();
    }
  } catch (const std::exception& exception) {
    return StatusFromException(exception);
  }
}

}  // namespace cmerc

#endif  // CMERC_CORE_TORCH_STATUS_H_
