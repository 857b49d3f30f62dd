#include "tests/storage/zip.h"

namespace cmerc {
namespace {

std::string Number(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes.push_back(static_cast<char>(value >> 8 * i));
  return bytes;
}

// One bit at a time, as the definition has it.
uint32_t Crc32(const std::string& data) {
  uint32_t crc = 0xFFFFFFFFU;
  for (const char c : data) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0xEDB88320U : crc >> 1;
  }
  return ~crc;
}

}  // namespace

std::string Zip(const std::vector<ZipRecord>& records, const ZipOptions& options) {
  std::string bytes;
  std::string directory;
  for (const ZipRecord& record : records) {
    const uint64_t size = record.size.value_or(record.data.size());
    const uint64_t stored_size = record.stored_size.value_or(record.data.size());
    const uint64_t header = record.header.value_or(bytes.size());
    const std::string common = Number(20, 2) + Number(record.flags, 2) + Number(record.method, 2) +
                               Number(0, 4) + Number(record.crc.value_or(Crc32(record.data)), 4) +
                               Number(options.zip64 ? 0xFFFFFFFF : stored_size, 4) +
                               Number(options.zip64 ? 0xFFFFFFFF : size, 4) +
                               Number(record.name.size(), 2);
    const std::string extra = options.zip64 ? Number(0x4242, 2) + Number(1, 2) + "x" +
                                                  Number(1, 2) + Number(24, 2) + Number(size, 8) +
                                                  Number(stored_size, 8) + Number(header, 8)
                                            : "";
    bytes += "PK\3\4" + common + Number(3, 2) + record.name + "pad" + record.data;
    directory += "PK\1\2" + Number(20, 2) + common + Number(extra.size(), 2) + Number(2, 2) +
                 Number(0, 2) + Number(0, 2) + Number(0, 4) +
                 Number(options.zip64 ? 0xFFFFFFFF : header, 4) + record.name + extra + "//";
  }
  const uint64_t begin = bytes.size();
  bytes += directory;
  if (options.zip64) {
    const uint64_t end64 = bytes.size();
    bytes += "PK\6\6" + Number(44, 8) + Number(45, 2) + Number(45, 2) + Number(0, 4) +
             Number(0, 4) + Number(records.size(), 8) + Number(records.size(), 8) +
             Number(directory.size(), 8) + Number(begin, 8);
    bytes += "PK\6\7" + Number(0, 4) + Number(end64, 8) + Number(1, 4);
  }
  const bool small = !options.zip64;
  bytes += "PK\5\6" + Number(0, 4) + Number(small ? records.size() : 0xFFFF, 2) +
           Number(small ? records.size() : 0xFFFF, 2) +
           Number(small ? directory.size() : 0xFFFFFFFF, 4) +
           Number(small ? begin : 0xFFFFFFFF, 4) + Number(options.comment.size(), 2) +
           options.comment;
  return bytes;
}

}  // namespace cmerc
