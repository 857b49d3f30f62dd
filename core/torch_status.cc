#include "core/torch_status.h"

#include <c10/util/Exception.h>

#include <new>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cmerc {

absl::Status StatusFromException(const std::exception& exception) {
  if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr) {
    return absl::ResourceExhaustedError("out of memory");
  }
  const auto* error = dynamic_cast<const c10::Error*>(&exception);
  if (error == nullptr) return absl::InternalError(exception.what());
  const std::string message = error->what_without_backtrace();
  // The CPU allocator throws a plain Error: "[enforce fail at ...] err == 0. DefaultCPUAllocator:
  // can't allocate memory: you tried to allocate 25600000000 bytes. ..."
  const size_t request = message.find("you tried to allocate ");
  if (request != std::string::npos) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "out of memory: ", message.substr(request, message.find('.', request) - request),
        "; use a smaller model or batch"));
  }
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
