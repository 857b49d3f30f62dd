// The directory of a zip archive. Layout as in PKWARE's APPNOTE.TXT, ZIP64 included.
#ifndef CMERC_BYTES_ZIP_H_
#define CMERC_BYTES_ZIP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

// One record of an archive.
struct ZipEntry {
  absl::string_view name;  // of the archive's bytes
  uint64_t flags;          // 1: encrypted
  uint64_t method;         // 0: stored as it is, 8: deflated
  uint32_t crc;            // CRC-32 of what was stored
  uint64_t stored_size;    // bytes in the archive
  uint64_t size;           // bytes when opened, as the directory claims
  uint64_t begin;          // where its stored bytes begin, all of them inside the archive

  // Whether its bytes are in the archive as they are.
  bool is_plain() const { return method == 0 && size == stored_size && (flags & 1) == 0; }
};

// Returns the records in the order of the directory. InvalidArgument, without the file's name: not
// a zip archive, truncated; end records that contradict each other; a record outside the file, over
// another one, there twice, another one by its own header than by the directory, or named with ".."
// or as an absolute path.
absl::StatusOr<std::vector<ZipEntry>> ReadZipDirectory(absl::string_view bytes);

// Returns the name of a record for a message: no terminal is written to by it, and it is short.
std::string ShownZipName(absl::string_view name);

}  // namespace cmerc

#endif  // CMERC_BYTES_ZIP_H_
