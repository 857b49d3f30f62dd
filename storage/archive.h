// Reads the zip archives that torch.save() writes. Every record of those is stored as it is, and so
// a record never takes more memory than the file: a small file that claims gigabytes is an error.
// Layout as in PKWARE's APPNOTE.TXT, ZIP64 included.
#ifndef CMERC_STORAGE_ARCHIVE_H_
#define CMERC_STORAGE_ARCHIVE_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmerc {

class Archive {
 public:
  // InvalidArgument, without the file's name: not a zip archive, truncated; end records that
  // contradict each other; a record that is compressed or encrypted, outside the file, over another
  // one, there twice, another one by its own header than by the directory, or named with ".." or as
  // an absolute path.
  static absl::StatusOr<Archive> Parse(std::string bytes);

  // Names are those below the archive's own folder: "data.pkl" for "archive/data.pkl".
  bool Has(const std::string& name) const { return records_.count(name) > 0; }
  // The bytes of a record; valid as long as this Archive stays where it is. InvalidArgument: there
  // is none, or its CRC-32 says that it is damaged.
  absl::StatusOr<absl::string_view> Read(const std::string& name) const;

  // The size of the whole file in bytes.
  size_t size() const { return bytes_.size(); }

 private:
  struct Record {
    uint64_t begin;
    uint64_t size;
    uint32_t crc;
  };

  absl::Status ReadDirectory();

  std::string bytes_;
  std::map<std::string, Record> records_;
};

}  // namespace cmerc

#endif  // CMERC_STORAGE_ARCHIVE_H_
