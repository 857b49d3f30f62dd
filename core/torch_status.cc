#include "core/torch_status.h"

#include <c10/util/Exception.h>

#include <new>

#include "absl/strings/match.h"

namespace cmerc {

absl::Status StatusFromException(const std::exception& exception) {
  if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr) {
    return absl::ResourceExhaustedError("out of memory");
  }
  const auto* error = dynamic_cast<const c10::Error*>(&exception);
  if (error == nullptr) return absl::InternalError(exception.what());
  const std::string message = error->what_without_backtrace();
  if (dynamic_cast<const c10::OutOfMemoryError*>(error) != nullptr ||
      absl::StrContains(message, "not enough memory")) {
    return absl::ResourceExhaustedError(message);
  }
  if (dynamic_cast<const c10::IndexError*>(error) != nullptr ||
      dynamic_cast<const c10::ValueError*>(error) != nullptr ||
      dynamic_cast<const c10::TypeError*>(error) != nullptr) {
    return absl::InvalidArgumentError(message);
  }
  return absl::InternalError(message);
}

}  // namespace cmerc
