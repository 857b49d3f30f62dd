#include "bytes/zip.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bytes/little_endian.h"
#include "core/status.h"

namespace cmerc {
namespace {

constexpr uint64_t kEndSize = 22;
constexpr uint64_t kEnd64Size = 56;
constexpr uint64_t kEnd64LocatorSize = 20;
constexpr uint64_t kEntrySize = 46;  // in the central directory
constexpr uint64_t kLocalHeaderSize = 30;
constexpr size_t kLongestShownName = 100;

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

// Whether a field says `value`, or, by having its highest value, that this is written elsewhere.
bool SameOrElsewhere(uint64_t field, uint64_t highest, uint64_t value) {
  return field == highest || field == value;
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
          end + kEndSize + ReadLittleEndian(bytes, end + 20, 2) != bytes.size())) {
    end = end == 0 ? absl::string_view::npos : bytes.rfind("PK\5\6", end - 1);
  }
  if (end == absl::string_view::npos) return NotAnArchive("it has no end record");
  uint64_t entries = ReadLittleEndian(bytes, end + 10, 2);
  uint64_t size = ReadLittleEndian(bytes, end + 12, 4);
  uint64_t begin = ReadLittleEndian(bytes, end + 16, 4);
  uint64_t limit = end;
  if (end >= kEnd64LocatorSize && SignatureAt(bytes, end - kEnd64LocatorSize, "PK\6\7")) {
    const uint64_t end64 = ReadLittleEndian(bytes, end - kEnd64LocatorSize + 8, 8);
    if (!Inside(end64, kEnd64Size, end - kEnd64LocatorSize) ||
        !SignatureAt(bytes, end64, "PK\6\6")) {
      return NotAnArchive("its ZIP64 end record is not where it should be");
    }
    const uint64_t entries64 = ReadLittleEndian(bytes, end64 + 32, 8);
    const uint64_t size64 = ReadLittleEndian(bytes, end64 + 40, 8);
    const uint64_t begin64 = ReadLittleEndian(bytes, end64 + 48, 8);
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

// What the directory says of a record.
struct Entry : ZipEntry {
  uint64_t header;  // where its local header begins
  uint64_t end;     // where the entry ends in the directory
};

// Replaces the values that do not fit into 32 bits by those of the ZIP64 field, which is the extra
// field of type 1 and has them in this order.
void ReadZip64Field(absl::string_view extra, Entry* entry) {
  while (extra.size() >= 4) {
    const uint64_t type = ReadLittleEndian(extra, 0, 2);
    absl::string_view field = extra.substr(4, ReadLittleEndian(extra, 2, 2));
    extra.remove_prefix(4 + field.size());
    if (type != 1) continue;
    for (uint64_t* value : {&entry->size, &entry->stored_size, &entry->header}) {
      if (*value != 0xFFFFFFFF || field.size() < 8) continue;
      *value = ReadLittleEndian(field, 0, 8);
      field.remove_prefix(8);
    }
  }
}

// Returns the entry at `position`, the `index`-th. InvalidArgument: the directory, which ends at
// `end`, is cut short, or the name is unsafe.
absl::StatusOr<Entry> ReadEntry(absl::string_view bytes, uint64_t position, uint64_t end,
                                uint64_t index) {
  if (!Inside(position, kEntrySize, end) || !SignatureAt(bytes, position, "PK\1\2")) {
    return NotAnArchive("its directory is cut short");
  }
  Entry entry;
  entry.flags = ReadLittleEndian(bytes, position + 8, 2);
  entry.method = ReadLittleEndian(bytes, position + 10, 2);
  entry.crc = static_cast<uint32_t>(ReadLittleEndian(bytes, position + 16, 4));
  entry.stored_size = ReadLittleEndian(bytes, position + 20, 4);
  entry.size = ReadLittleEndian(bytes, position + 24, 4);
  entry.header = ReadLittleEndian(bytes, position + 42, 4);
  const uint64_t name_size = ReadLittleEndian(bytes, position + 28, 2);
  const uint64_t extra_size = ReadLittleEndian(bytes, position + 30, 2);
  const uint64_t comment_size = ReadLittleEndian(bytes, position + 32, 2);
  const uint64_t name_begin = position + kEntrySize;
  if (!Inside(name_begin, name_size + extra_size + comment_size, end)) {
    return NotAnArchive("its directory is cut short");
  }
  entry.end = name_begin + name_size + extra_size + comment_size;
  entry.name = bytes.substr(name_begin, name_size);
  if (!SafeName(entry.name)) {
    return absl::InvalidArgumentError(absl::StrCat("record ", index, " has an unsafe name"));
  }
  ReadZip64Field(bytes.substr(name_begin + name_size, extra_size), &entry);
  return entry;
}

// Whether the header in front of a record's data (both are inside the file) says what the directory
// says. Sizes and checksum may follow the data instead (flag 8), as torch.save() has it.
bool LocalHeaderAgrees(absl::string_view bytes, const Entry& entry) {
  const uint64_t header = entry.header;
  const uint64_t flags = ReadLittleEndian(bytes, header + 6, 2);
  if (ReadLittleEndian(bytes, header + 8, 2) != entry.method || (flags & 1) != (entry.flags & 1) ||
      ReadLittleEndian(bytes, header + 26, 2) != entry.name.size() ||
      bytes.substr(header + kLocalHeaderSize, entry.name.size()) != entry.name) {
    return false;
  }
  return (flags & 8) != 0 ||
         (ReadLittleEndian(bytes, header + 14, 4) == entry.crc &&
          SameOrElsewhere(ReadLittleEndian(bytes, header + 18, 4), 0xFFFFFFFF, entry.stored_size) &&
          SameOrElsewhere(ReadLittleEndian(bytes, header + 22, 4), 0xFFFFFFFF, entry.size));
}

// Returns where the data of a record begins. InvalidArgument: its header contradicts the directory,
// or header or data are not in front of `limit`.
absl::StatusOr<uint64_t> FindData(absl::string_view bytes, const Entry& entry, uint64_t limit) {
  const std::string name = ShownZipName(entry.name);
  if (!Inside(entry.header, kLocalHeaderSize, limit) ||
      !SignatureAt(bytes, entry.header, "PK\3\4")) {
    return NotAnArchive(absl::StrCat("record ", name, " is not where it should be"));
  }
  const uint64_t begin = entry.header + kLocalHeaderSize +
                         ReadLittleEndian(bytes, entry.header + 26, 2) +
                         ReadLittleEndian(bytes, entry.header + 28, 2);
  if (!Inside(begin, entry.stored_size, limit)) {
    return NotAnArchive(absl::StrCat("record ", name, " reaches beyond the data"));
  }
  if (!LocalHeaderAgrees(bytes, entry)) {
    return NotAnArchive(
        absl::StrCat("the directory and the header of record ", name, " contradict each other"));
  }
  return begin;
}

}  // namespace

std::string ShownZipName(absl::string_view name) {
  return absl::Utf8SafeCHexEscape(name.substr(0, kLongestShownName));
}

absl::StatusOr<std::vector<ZipEntry>> ReadZipDirectory(absl::string_view bytes) {
  ASSIGN_OR_RETURN(const Directory directory, FindDirectory(bytes));
  uint64_t position = directory.begin;
  std::vector<ZipEntry> entries;
  std::vector<std::pair<uint64_t, uint64_t>> extents;  // of the records with their headers
  std::set<absl::string_view> names;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    ASSIGN_OR_RETURN(Entry entry, ReadEntry(bytes, position, directory.end, i));
    ASSIGN_OR_RETURN(entry.begin, FindData(bytes, entry, directory.begin));
    extents.emplace_back(entry.header, entry.begin + entry.stored_size);
    if (!names.insert(entry.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("record ", ShownZipName(entry.name), " is there twice"));
    }
    position = entry.end;
    entries.push_back(entry);
  }
  if (position != directory.end) {
    return NotAnArchive("its directory has more than the records it counts");
  }
  // Records that share bytes could add up to any size.
  std::sort(extents.begin(), extents.end());
  for (size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].first < extents[i - 1].second) return NotAnArchive("its records overlap");
  }
  return entries;
}

}  // namespace cmerc
