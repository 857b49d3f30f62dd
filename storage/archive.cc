#include "storage/archive.h"

#include <zlib.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace cmerc {
namespace {

constexpr uint64_t kEndSize = 22;
constexpr uint64_t kEnd64Size = 56;
constexpr uint64_t kEnd64LocatorSize = 20;
constexpr uint64_t kEntrySize = 46;  // of the central directory
constexpr uint64_t kLocalHeaderSize = 30;
constexpr size_t kLongestShownName = 100;

// The little-endian number of `size` bytes at `position`, which the caller knows to be inside.
uint64_t Number(absl::string_view bytes, uint64_t position, int size) {
  uint64_t value = 0;
  for (int i = size - 1; i >= 0; --i) {
    value = value << 8 | static_cast<uint8_t>(bytes[position + i]);
  }
  return value;
}

// Whether [position, position + size) is inside the first `limit` bytes, without overflow.
bool Inside(uint64_t position, uint64_t size, uint64_t limit) {
  return size <= limit && position <= limit - size;
}

bool SignatureAt(absl::string_view bytes, uint64_t position, absl::string_view signature) {
  return absl::StartsWith(bytes.substr(position), signature);
}

absl::Status NotAnArchive(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("not a whole zip archive: ", why));
}

uint32_t Crc32(absl::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

bool SafeName(absl::string_view name) {
  if (name.empty() || name[0] == '/' ||
      name.find_first_of(absl::string_view("\\\0", 2)) != absl::string_view::npos) {
    return false;
  }
  for (const absl::string_view part : absl::StrSplit(name, '/')) {
    if (part == "..") return false;
  }
  return true;
}

// For messages: a terminal must not be written to.
std::string Shown(absl::string_view name) {
  return absl::Utf8SafeCHexEscape(name.substr(0, kLongestShownName));
}

// Whether a field says `value`, or, by having its highest value, that this is written elsewhere.
bool SameOrElsewhere(uint64_t field, uint64_t highest, uint64_t value) {
  return field == highest || field == value;
}

// Whether the header in front of a record's data (both are inside the file) says what the directory
// says. Sizes and checksum may follow the data instead (flag 8), as torch.save() has it.
bool LocalHeaderAgrees(absl::string_view bytes, uint64_t header, absl::string_view name,
                       uint64_t method, uint64_t size, uint32_t crc) {
  const uint64_t flags = Number(bytes, header + 6, 2);
  if (Number(bytes, header + 8, 2) != method || (flags & 1) != 0 ||
      Number(bytes, header + 26, 2) != name.size() ||
      bytes.substr(header + kLocalHeaderSize, name.size()) != name) {
    return false;
  }
  return (flags & 8) != 0 || (Number(bytes, header + 14, 4) == crc &&
                              SameOrElsewhere(Number(bytes, header + 18, 4), 0xFFFFFFFF, size) &&
                              SameOrElsewhere(Number(bytes, header + 22, 4), 0xFFFFFFFF, size));
}

// Where the central directory is.
struct Directory {
  uint64_t begin;
  uint64_t end;
  uint64_t entries;
};

absl::StatusOr<Directory> FindDirectory(absl::string_view bytes) {
  size_t end = bytes.rfind("PK\5\6");
  // Nothing but the archive's comment may follow.
  while (end != absl::string_view::npos &&
         (!Inside(end, kEndSize, bytes.size()) ||
          end + kEndSize + Number(bytes, end + 20, 2) != bytes.size())) {
    end = end == 0 ? absl::string_view::npos : bytes.rfind("PK\5\6", end - 1);
  }
  if (end == absl::string_view::npos) return NotAnArchive("it has no end record");
  uint64_t entries = Number(bytes, end + 10, 2);
  uint64_t size = Number(bytes, end + 12, 4);
  uint64_t begin = Number(bytes, end + 16, 4);
  uint64_t limit = end;
  if (end >= kEnd64LocatorSize && SignatureAt(bytes, end - kEnd64LocatorSize, "PK\6\7")) {
    const uint64_t end64 = Number(bytes, end - kEnd64LocatorSize + 8, 8);
    if (!Inside(end64, kEnd64Size, end - kEnd64LocatorSize) ||
        !SignatureAt(bytes, end64, "PK\6\6")) {
      return NotAnArchive("its ZIP64 end record is not where it should be");
    }
    const uint64_t entries64 = Number(bytes, end64 + 32, 8);
    const uint64_t size64 = Number(bytes, end64 + 40, 8);
    const uint64_t begin64 = Number(bytes, end64 + 48, 8);
    // Readers differ in which of the two end records they believe.
    if (!SameOrElsewhere(entries, 0xFFFF, entries64) ||
        !SameOrElsewhere(size, 0xFFFFFFFF, size64) ||
        !SameOrElsewhere(begin, 0xFFFFFFFF, begin64)) {
      return NotAnArchive("its two end records contradict each other");
    }
    entries = entries64, size = size64, begin = begin64;
    limit = end64;
  }
  if (!Inside(begin, size, limit)) return NotAnArchive("its directory is outside the file");
  return Directory{begin, begin + size, entries};
}

}  // namespace

absl::StatusOr<Archive> Archive::Parse(std::string bytes) {
  Archive archive;
  archive.bytes_ = std::move(bytes);
  const absl::Status status = archive.ReadDirectory();
  if (!status.ok()) return status;
  return archive;
}

absl::Status Archive::ReadDirectory() {
  const absl::string_view bytes = bytes_;
  const absl::StatusOr<Directory> directory = FindDirectory(bytes);
  if (!directory.ok()) return directory.status();
  uint64_t position = directory->begin;
  std::vector<std::pair<uint64_t, uint64_t>> extents;  // of the records with their headers
  std::string folder;  // the first record's, with its slash: the archive's own
  for (uint64_t i = 0; i < directory->entries; ++i) {
    if (!Inside(position, kEntrySize, directory->end) || !SignatureAt(bytes, position, "PK\1\2")) {
      return NotAnArchive("its directory is cut short");
    }
    const uint64_t flags = Number(bytes, position + 8, 2);
    const uint64_t method = Number(bytes, position + 10, 2);
    const auto crc = static_cast<uint32_t>(Number(bytes, position + 16, 4));
    uint64_t stored_size = Number(bytes, position + 20, 4);
    uint64_t size = Number(bytes, position + 24, 4);
    const uint64_t name_size = Number(bytes, position + 28, 2);
    const uint64_t extra_size = Number(bytes, position + 30, 2);
    const uint64_t comment_size = Number(bytes, position + 32, 2);
    uint64_t header = Number(bytes, position + 42, 4);
    if (!Inside(position + kEntrySize, name_size + extra_size + comment_size, directory->end)) {
      return NotAnArchive("its directory is cut short");
    }
    const absl::string_view name = bytes.substr(position + kEntrySize, name_size);
    if (!SafeName(name)) {
      return absl::InvalidArgumentError(absl::StrCat("record ", i, " has an unsafe name"));
    }
    // ZIP64: what does not fit into 32 bits is in the extra field of type 1, in this order.
    absl::string_view extra = bytes.substr(position + kEntrySize + name_size, extra_size);
    while (extra.size() >= 4) {
      const uint64_t type = Number(extra, 0, 2);
      absl::string_view field = extra.substr(4, Number(extra, 2, 2));
      extra.remove_prefix(4 + field.size());
      if (type != 1) continue;
      for (uint64_t* value : {&size, &stored_size, &header}) {
        if (*value != 0xFFFFFFFF || field.size() < 8) continue;
        *value = Number(field, 0, 8);
        field.remove_prefix(8);
      }
    }
    if (method != 0 || size != stored_size || (flags & 1) != 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("record ", Shown(name),
                       " is compressed or encrypted, which torch.save() never does; save the "
                       "file again, do not zip it"));
    }
    if (!Inside(header, kLocalHeaderSize, directory->begin) ||
        !SignatureAt(bytes, header, "PK\3\4")) {
      return NotAnArchive(absl::StrCat("record ", Shown(name), " is not where it should be"));
    }
    const uint64_t begin =
        header + kLocalHeaderSize + Number(bytes, header + 26, 2) + Number(bytes, header + 28, 2);
    if (!Inside(begin, size, directory->begin)) {
      return NotAnArchive(absl::StrCat("record ", Shown(name), " reaches beyond the data"));
    }
    if (!LocalHeaderAgrees(bytes, header, name, method, size, crc)) {
      return NotAnArchive(absl::StrCat("the directory and the header of record ", Shown(name),
                                       " contradict each other"));
    }
    extents.emplace_back(header, begin + size);
    if (i == 0) folder = std::string(name.substr(0, name.find('/') + 1));
    if (absl::StartsWith(name, folder) &&
        !records_.emplace(name.substr(folder.size()), Record{begin, size, crc}).second) {
      return absl::InvalidArgumentError(absl::StrCat("record ", Shown(name), " is there twice"));
    }
    position += kEntrySize + name_size + extra_size + comment_size;
  }
  if (position != directory->end) {
    return NotAnArchive("its directory has more than the records it counts");
  }
  // Records that share bytes could add up to any size.
  std::sort(extents.begin(), extents.end());
  for (size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].first < extents[i - 1].second) return NotAnArchive("its records overlap");
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::string_view> Archive::Read(const std::string& name) const {
  const auto it = records_.find(name);
  if (it == records_.end()) {
    return absl::InvalidArgumentError(absl::StrCat("the archive has no record ", Shown(name)));
  }
  const absl::string_view record =
      absl::string_view(bytes_).substr(it->second.begin, it->second.size);
  if (Crc32(record) != it->second.crc) {
    return absl::InvalidArgumentError(
        absl::StrCat("record ", Shown(name), " is damaged (its CRC-32 does not match)"));
  }
  return record;
}

}  // namespace cmerc
