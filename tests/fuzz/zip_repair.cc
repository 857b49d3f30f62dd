#include "tests/fuzz/zip_repair.h"

#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace cmerc::fuzz {
namespace {

constexpr size_t kEntry = 46, kLocalHeader = 30, kEnd = 22;

template <typename T>
T Number(const std::string& bytes, size_t at) {
  T number;
  std::memcpy(&number, &bytes[at], sizeof(number));
  return number;
}

template <typename T>
void SetNumber(T number, size_t at, std::string* bytes) {
  std::memcpy(&(*bytes)[at], &number, sizeof(number));
}

// What was inserted or removed in front of the directory has moved it: the first entry begins it.
void RepairEnd(std::string* bytes) {
  const size_t begin = bytes->find("PK\1\2");
  const size_t end = bytes->rfind("PK\5\6");
  if (begin == std::string::npos || end == std::string::npos || end < begin ||
      bytes->size() < end + kEnd) {
    return;
  }
  size_t directory_end = end;
  const size_t end64 = bytes->rfind("PK\6\6");
  if (end64 != std::string::npos && end64 > begin && end64 + 56 <= end) {
    directory_end = end64;
    SetNumber<uint64_t>(end64 - begin, end64 + 40, bytes);
    SetNumber<uint64_t>(begin, end64 + 48, bytes);
    const size_t locator = bytes->rfind("PK\6\7");
    if (locator != std::string::npos && locator >= end64 + 56 && locator + 20 <= end) {
      SetNumber<uint64_t>(end64, locator + 8, bytes);
    }
  }
  SetNumber(static_cast<uint32_t>(directory_end - begin), end + 12, bytes);
  SetNumber(static_cast<uint32_t>(begin), end + 16, bytes);
}

void RepairChecksums(std::string* bytes) {
  for (size_t at = bytes->find("PK\1\2"); at != std::string::npos;
       at = bytes->find("PK\1\2", at + 4)) {
    if (bytes->size() < at + kEntry) return;
    const size_t size = Number<uint32_t>(*bytes, at + 24);
    const size_t header = Number<uint32_t>(*bytes, at + 42);
    if (header > bytes->size() || bytes->size() - header < kLocalHeader) continue;
    const size_t begin = header + kLocalHeader + Number<uint16_t>(*bytes, header + 26) +
                         Number<uint16_t>(*bytes, header + 28);
    if (begin > bytes->size() || size > bytes->size() - begin) continue;
    const auto crc = static_cast<uint32_t>(
        crc32_z(0, reinterpret_cast<const Bytef*>(bytes->data()) + begin, size));
    SetNumber(crc, at + 16, bytes);
    if (Number<uint32_t>(*bytes, header + 14) != 0) SetNumber(crc, header + 14, bytes);
  }
}

size_t MutateZip(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (std::minstd_rand(seed)() % 8 == 0) return size;
  std::string bytes(reinterpret_cast<const char*>(data), size);
  RepairEnd(&bytes);
  RepairChecksums(&bytes);
  std::memcpy(data, bytes.data(), bytes.size());
  return size;
}

}  // namespace
}  // namespace cmerc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cmerc::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  return cmerc::fuzz::MutateZip(data, size, max_size, seed);
}
