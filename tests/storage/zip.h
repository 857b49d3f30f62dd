// Zip archives for tests, right or wrong.
#ifndef CMERC_TESTS_STORAGE_ZIP_H_
#define CMERC_TESTS_STORAGE_ZIP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cmerc {

// A record, stored as it is; every With...() replaces what is true by what is claimed.
struct ZipRecord {
  ZipRecord(std::string name, std::string data) : name(std::move(name)), data(std::move(data)) {}

  ZipRecord& WithMethod(uint16_t value) { return method = value, *this; }  // 8: DEFLATE
  ZipRecord& WithFlags(uint16_t value) { return flags = value, *this; }    // 1: encrypted
  ZipRecord& WithStoredSize(uint64_t value) { return stored_size = value, *this; }
  ZipRecord& WithSize(uint64_t value) { return size = value, *this; }
  ZipRecord& WithCrc(uint32_t value) { return crc = value, *this; }
  ZipRecord& WithHeaderAt(uint64_t value) { return header = value, *this; }

  std::string name;
  std::string data;
  uint16_t method = 0;
  uint16_t flags = 0;
  std::optional<uint64_t> stored_size;
  std::optional<uint64_t> size;
  std::optional<uint32_t> crc;
  std::optional<uint64_t> header;
};

struct ZipOptions {
  bool zip64 = false;  // with a ZIP64 end record, as torch.save() writes, and ZIP64 extra fields
  std::string comment;
};

std::string Zip(const std::vector<ZipRecord>& records, const ZipOptions& options = {});

}  // namespace cmerc

#endif  // CMERC_TESTS_STORAGE_ZIP_H_
