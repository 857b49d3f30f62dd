#include "tests/fuzz/law.h"

#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace {

thread_local int64_t live_bytes = 0;
thread_local int64_t peak_bytes = 0;

void* Allocate(size_t size) {
  void* const memory = std::malloc(std::max<size_t>(size, 1));
  if (memory == nullptr) return nullptr;
  live_bytes += static_cast<int64_t>(malloc_usable_size(memory));
  peak_bytes = std::max(peak_bytes, live_bytes);
  return memory;
}

void* AllocateOrThrow(size_t size) {
  void* const memory = Allocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void Free(void* memory) noexcept {
  if (memory == nullptr) return;
  live_bytes -= static_cast<int64_t>(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

// In place of the library's, and of the sanitizer's, which take their memory from malloc() too. Not
// those for types of a larger alignment.
void* operator new(size_t size) { return AllocateOrThrow(size); }
void* operator new[](size_t size) { return AllocateOrThrow(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void operator delete(void* memory) noexcept { Free(memory); }
void operator delete[](void* memory) noexcept { Free(memory); }
void operator delete(void* memory, size_t) noexcept { Free(memory); }
void operator delete[](void* memory, size_t) noexcept { Free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { Free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { Free(memory); }

namespace cmerc::fuzz {

void Law(bool holds, absl::string_view law, absl::string_view details) {
  if (holds) return;
  const std::string message = absl::StrCat("broken law: ", law, "\n", details, "\n");
  std::fwrite(message.data(), 1, message.size(), stderr);
  std::abort();
}

void CheckError(const absl::Status& status, absl::string_view place) {
  Law(status.code() == absl::StatusCode::kInvalidArgument, "bad input is InvalidArgument",
      status.ToString());
  Law(absl::StartsWith(status.message(), place) && status.message().size() > place.size(),
      absl::StrCat("an error begins with its place, ", place), status.ToString());
}

PeakMemory::PeakMemory() : before_(live_bytes) { peak_bytes = live_bytes; }

void PeakMemory::CheckAtMost(size_t input, double per_byte, size_t base) const {
  const auto peak = static_cast<double>(peak_bytes - before_);
  Law(peak <= per_byte * static_cast<double>(input) + static_cast<double>(base),
      "memory is bounded by the size of the input",
      absl::StrCat(peak, " bytes for an input of ", input, ", want at most ", per_byte,
                   " a byte and ", base));
}

}  // namespace cmerc::fuzz
