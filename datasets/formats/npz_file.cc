#include "datasets/formats/npz_file.h"

#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "bytes/crc32.h"
#include "bytes/file_kind.h"
#include "bytes/inflate.h"
#include "bytes/little_endian.h"
#include "bytes/whole_file.h"
#include "core/status.h"
#include "datasets/formats/utf8.h"

namespace cmerc {
namespace {

constexpr uint64_t kStored = 0, kDeflated = 8;
// Holds nearly every header, and the longest of format 1.0.
constexpr size_t kHead = 1 << 10, kLongestHead = (1 << 16) + 16;

// Appends one element of dtype U, padded with zeros at its end. Returns false where it is no
// Unicode.
bool AppendWide(absl::string_view element, bool big_endian, std::string* out) {
  size_t size = element.size();
  while (size >= 4 && element.substr(size - 4, 4) == absl::string_view("\0\0\0\0", 4)) size -= 4;
  for (size_t i = 0; i < size; i += 4) {
    auto code = static_cast<uint32_t>(ReadLittleEndian(element, i, 4));
    if (big_endian) code = __builtin_bswap32(code);
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return false;
    datasets::AppendUtf8(code, out);
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NpzFile>> NpzFile::Open(const std::string& path) {
  ASSIGN_OR_RETURN(std::string bytes, ReadWholeFile(path));
  return Parse(std::move(bytes), path);
}

absl::StatusOr<std::unique_ptr<NpzFile>> NpzFile::Parse(std::string bytes, std::string path) {
  std::unique_ptr<NpzFile> file(new NpzFile(std::move(bytes), std::move(path)));
  RETURN_IF_ERROR(Annotate(file->ReadDirectory(), file->path_));
  return file;
}

absl::Status NpzFile::ReadDirectory() {
  if (FileKindOf(bytes_) != FileKind::kNpz && bytes_.substr(0, 2) != "PK") {
    const std::string wrong = WrongFileKind(bytes_, FileUse::kArrays, path_);
    return absl::InvalidArgumentError(wrong.empty() ? "is no .npz file" : wrong);
  }
  ASSIGN_OR_RETURN(const std::vector<ZipEntry> entries, ReadZipDirectory(bytes_));
  uint64_t left = MostInflated(bytes_.size());
  for (const ZipEntry& entry : entries) {
    if (entry.size > left) {
      return absl::InvalidArgumentError(absl::StrCat("claims to hold more than ",
                                                     MostInflated(bytes_.size()),
                                                     " bytes, 64 times its own size and 16 MiB; if "
                                                     "that is right, write it with numpy.savez(), "
                                                     "which does not compress"));
    }
    left -= entry.size;
    RETURN_IF_ERROR(Annotate(AddArray(entry), absl::StrCat("record ", ShownZipName(entry.name))));
  }
  return absl::OkStatus();
}

absl::Status NpzFile::AddArray(const ZipEntry& entry) {
  if (!absl::EndsWith(entry.name, ".npy")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "is no .npy array: ",
        FileKindAdvice(FileKindOf(bytes_) == FileKind::kNpz ? FileKind::kZip : FileKindOf(bytes_),
                       FileUse::kArrays, path_)));
  }
  if ((entry.flags & 1) != 0 || (entry.method != kStored && entry.method != kDeflated) ||
      (entry.method == kStored && entry.size != entry.stored_size)) {
    return absl::InvalidArgumentError(
        "is encrypted, or compressed by something else than numpy.savez_compressed(); write the "
        "file again with that, or with numpy.savez()");
  }
  const absl::string_view stored = absl::string_view(bytes_).substr(entry.begin, entry.stored_size);
  absl::StatusOr<NpyHeader> header;
  if (entry.method == kStored) {
    header = ParseNpyHeader(stored);
  } else {
    header = ParseNpyHeader(InflatedHead(stored, kHead));
    if (!header.ok()) header = ParseNpyHeader(InflatedHead(stored, kLongestHead));
  }
  RETURN_IF_ERROR(header.status());
  // Object arrays have a pickle of any length.
  const auto size = static_cast<uint64_t>(header->num_elements * header->item_size);
  if (header->kind != 'O' && entry.size - header->data_begin != size) {
    return absl::InvalidArgumentError(absl::StrCat("has ", entry.size, " bytes, want ",
                                                   header->data_begin + size, " for ",
                                                   header->Describe()));
  }
  if (!MayHold(header->num_elements, sizeof(float))) {
    return absl::InvalidArgumentError(
        absl::StrCat("is ", header->Describe(), ", more than a file of this size may hold"));
  }
  std::string name(absl::StripSuffix(entry.name, ".npy"));
  names_.push_back(name);
  arrays_.emplace(std::move(name), Array{entry, *std::move(header)});
  return absl::OkStatus();
}

const NpyHeader* NpzFile::Find(absl::string_view name) const {
  const auto it = arrays_.find(name);
  return it == arrays_.end() ? nullptr : &it->second.header;
}

bool NpzFile::MayHold(int64_t count, size_t item_size) const {
  return static_cast<uint64_t>(count) <= MostInflated(bytes_.size()) / item_size;
}

absl::StatusOr<absl::string_view> NpzFile::NpyOf(const Array& array, std::string* opened) const {
  absl::string_view npy =
      absl::string_view(bytes_).substr(array.entry.begin, array.entry.stored_size);
  if (array.entry.method == kDeflated) {
    ASSIGN_OR_RETURN(*opened, InflateRaw(npy, array.entry.size));
    npy = *opened;
  }
  if (Crc32(npy) != array.entry.crc) {
    return absl::InvalidArgumentError("is damaged (its CRC-32 does not match)");
  }
  return npy;
}

absl::Status NpzFile::Error(absl::string_view name, absl::string_view problem) const {
  return absl::InvalidArgumentError(
      absl::StrCat(path_, ": array \"", ShownZipName(name), "\" ", problem));
}

absl::Status NpzFile::CopyFloats(absl::string_view name, absl::Span<float> out) const {
  const Array& array = arrays_.find(name)->second;
  std::string opened;
  const absl::StatusOr<absl::string_view> npy = NpyOf(array, &opened);
  if (!npy.ok()) return Error(name, npy.status().message());
  const absl::Status status = CopyNpy(*npy, array.header, out);
  return status.ok() ? status : Error(name, status.message());
}

absl::StatusOr<std::vector<int64_t>> NpzFile::Integers(absl::string_view name) const {
  const Array& array = arrays_.find(name)->second;
  if (array.header.shape.size() != 1 || !MayHold(array.header.num_elements, sizeof(int64_t))) {
    return Error(name,
                 absl::StrCat("is ", array.header.Describe(), ", want integers of shape [n]"));
  }
  std::string opened;
  const absl::StatusOr<absl::string_view> npy = NpyOf(array, &opened);
  if (!npy.ok()) return Error(name, npy.status().message());
  std::vector<int64_t> integers(array.header.num_elements);
  const absl::Status status = CopyNpy(*npy, array.header, absl::MakeSpan(integers));
  if (!status.ok()) return Error(name, status.message());
  return integers;
}

absl::StatusOr<std::vector<std::string>> NpzFile::Texts(absl::string_view name) const {
  const Array& array = arrays_.find(name)->second;
  const NpyHeader& header = array.header;
  if (header.shape.size() != 1 || (header.kind != 'U' && header.kind != 'S') ||
      header.item_size == 0 || !MayHold(header.num_elements, sizeof(std::string))) {
    return Error(name, absl::StrCat("is ", header.Describe(), ", want text of shape [n]"));
  }
  std::string opened;
  const absl::StatusOr<absl::string_view> npy = NpyOf(array, &opened);
  if (!npy.ok()) return Error(name, npy.status().message());
  std::vector<std::string> texts(header.num_elements);
  for (int64_t i = 0; i < header.num_elements; ++i) {
    const absl::string_view element =
        npy->substr(header.data_begin + i * header.item_size, header.item_size);
    if (header.kind == 'S') {
      texts[i] = std::string(element.substr(0, element.find_last_not_of('\0') + 1));
      if (datasets::IsUtf8(texts[i])) continue;
    } else if (AppendWide(element, header.big_endian, &texts[i])) {
      continue;
    }
    return Error(name, absl::StrCat("has text at position ", i, " that is not Unicode"));
  }
  return texts;
}

}  // namespace cmerc
