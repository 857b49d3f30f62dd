#include "storage/archive.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bytes/crc32.h"
#include "bytes/zip.h"
#include "core/status.h"

namespace cmerc {

absl::StatusOr<Archive> Archive::Parse(std::string bytes) {
  Archive archive;
  archive.bytes_ = std::move(bytes);
  RETURN_IF_ERROR(archive.ReadDirectory());
  return archive;
}

absl::Status Archive::ReadDirectory() {
  ASSIGN_OR_RETURN(const std::vector<ZipEntry> entries, ReadZipDirectory(bytes_));
  std::string folder;  // the first record's, with its slash: the archive's own
  if (!entries.empty()) {
    folder = std::string(entries[0].name.substr(0, entries[0].name.find('/') + 1));
  }
  for (const ZipEntry& entry : entries) {
    if (!entry.is_plain()) {
      return absl::InvalidArgumentError(
          absl::StrCat("record ", ShownZipName(entry.name),
                       " is compressed or encrypted, which torch.save() never does; save the "
                       "file again, do not zip it"));
    }
    if (absl::StartsWith(entry.name, folder)) {
      records_.emplace(entry.name.substr(folder.size()),
                       Record{entry.begin, entry.size, entry.crc});
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> Archive::Read(const std::string& name) const {
  const auto it = records_.find(name);
  if (it == records_.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the archive has no record ", ShownZipName(name)));
  }
  const absl::string_view record =
      absl::string_view(bytes_).substr(it->second.begin, it->second.size);
  if (Crc32(record) != it->second.crc) {
    return absl::InvalidArgumentError(
        absl::StrCat("record ", ShownZipName(name), " is damaged (its CRC-32 does not match)"));
  }
  return record;
}

}  // namespace cmerc
