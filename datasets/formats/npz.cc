#include "datasets/formats/npz.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bytes/crc32.h"
#include "bytes/little_endian.h"
#include "core/status.h"
#include "datasets/formats/utf8.h"

namespace cmerc {
namespace {

constexpr uint64_t k32Bits = 0xFFFFFFFF;  // "see the ZIP64 field"
constexpr int kVersion = 45;              // of the format, the first with ZIP64
constexpr int kDate = 1 << 5 | 1;         // 1980-01-01, the first there is

// Returns the header of NumPy's format 1.0, whose text is padded so that the values begin at a
// multiple of 64 bytes.
std::string NpyHeader(absl::string_view type, const std::vector<int64_t>& shape) {
  std::string text = absl::StrCat("{'descr': '", type, "', 'fortran_order': False, 'shape': (",
                                  absl::StrJoin(shape, ", "), shape.size() == 1 ? ",), }" : "), }");
  constexpr size_t kBefore = 10;
  text.append(63 - (kBefore + text.size()) % 64, ' ');
  text.push_back('\n');
  std::string header("\x93NUMPY\x01\x00", 8);
  AppendLittleEndian(text.size(), 2, &header);
  return header + text;
}

// Returns what the local header and the directory both say of a record.
std::string Common(uint32_t crc, uint64_t size, const std::string& name, size_t extra_size) {
  std::string out;
  AppendLittleEndian(kVersion, 2, &out);  // needed
  AppendLittleEndian(0, 2, &out);         // flags
  AppendLittleEndian(0, 2, &out);         // stored
  AppendLittleEndian(0, 2, &out);         // time
  AppendLittleEndian(kDate, 2, &out);
  AppendLittleEndian(crc, 4, &out);
  AppendLittleEndian(std::min(size, k32Bits), 4, &out);  // stored
  AppendLittleEndian(std::min(size, k32Bits), 4, &out);
  AppendLittleEndian(name.size(), 2, &out);
  AppendLittleEndian(extra_size, 2, &out);
  return out;
}

// Returns the extra field for the values that do not fit into 32 bits; empty where all do.
std::string Zip64Field(const std::vector<uint64_t>& values) {
  std::string body;
  for (const uint64_t value : values) {
    if (value >= k32Bits) AppendLittleEndian(value, 8, &body);
  }
  if (body.empty()) return body;
  std::string field;
  AppendLittleEndian(1, 2, &field);
  AppendLittleEndian(body.size(), 2, &field);
  return field + body;
}

// Returns what follows the directory, of `entries` entries and `size` bytes from `begin` on: the
// end record, and before it those of ZIP64 where 32 bits do not do.
std::string EndRecords(uint64_t entries, uint64_t begin, uint64_t size) {
  std::string end;
  if (begin >= k32Bits || size >= k32Bits) {
    end = "PK\6\6";
    AppendLittleEndian(44, 8, &end);  // what follows of this record
    AppendLittleEndian(kVersion, 2, &end);
    AppendLittleEndian(kVersion, 2, &end);
    AppendLittleEndian(0, 8, &end);  // disks
    for (const uint64_t value : {entries, entries, size, begin}) {
      AppendLittleEndian(value, 8, &end);
    }
    end += "PK\6\7";
    AppendLittleEndian(0, 4, &end);  // disk
    AppendLittleEndian(begin + size, 8, &end);
    AppendLittleEndian(1, 4, &end);  // disks
  }
  end += "PK\5\6";
  AppendLittleEndian(0, 4, &end);  // disks
  AppendLittleEndian(entries, 2, &end);
  AppendLittleEndian(entries, 2, &end);
  AppendLittleEndian(std::min(size, k32Bits), 4, &end);
  AppendLittleEndian(std::min(begin, k32Bits), 4, &end);
  AppendLittleEndian(0, 2, &end);  // comment
  return end;
}

// Returns the code point of one character of valid UTF-8.
uint32_t CodePoint(absl::string_view character) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(character[i]); };
  if (character.size() == 1) return byte(0);
  uint32_t code = byte(0) & (0xFF >> (character.size() + 1));
  for (size_t i = 1; i < character.size(); ++i) code = code << 6 | (byte(i) & 0x3F);
  return code;
}

}  // namespace

absl::Status NpzWriter::Write(absl::string_view bytes) {
  position_ += bytes.size();
  return sink_(bytes);
}

absl::Status NpzWriter::Add(const std::string& name, absl::string_view type,
                            const std::vector<int64_t>& shape,
                            absl::FunctionRef<void(TakeBytes take)> give) {
  const auto is_safe = [](char c) {
    return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
  };
  if (name.empty() || name[0] == '.' || !std::all_of(name.begin(), name.end(), is_safe)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", name, "\" cannot be the name of an array, want letters, digits, _ and -"));
  }
  Entry entry;
  entry.name = name + ".npy";
  for (const Entry& other : entries_) {
    if (other.name == entry.name) {
      return absl::InvalidArgumentError(
          absl::StrCat("two arrays would have the name \"", name, "\"; rename the modality"));
    }
  }
  const std::string header = NpyHeader(type, shape);
  const auto count = [&](absl::string_view bytes) {
    entry.crc = Crc32(bytes, entry.crc);
    entry.size += bytes.size();
  };
  count(header);
  give(count);

  entry.begin = position_;
  // Both sizes, or neither: in a local header they go together.
  const std::string extra = Zip64Field({entry.size, entry.size});
  absl::Status status =
      Write(absl::StrCat("PK\3\4", Common(entry.crc, entry.size, entry.name, extra.size()),
                         entry.name, extra, header));
  give([&](absl::string_view bytes) {
    if (status.ok()) status = Write(bytes);
  });
  RETURN_IF_ERROR(status);
  entries_.push_back(std::move(entry));
  return absl::OkStatus();
}

absl::Status NpzWriter::AddFloats(const std::string& name, const std::vector<int64_t>& shape,
                                  absl::FunctionRef<void(TakeFloats take)> give) {
  return Add(name, "<f4", shape, [&](TakeBytes take) {
    give([&](absl::Span<const float> values) {
      take({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
    });
  });
}

absl::Status NpzWriter::AddIntegers(const std::string& name, const std::vector<int64_t>& values) {
  return Add(name, "<i8", {static_cast<int64_t>(values.size())}, [&](TakeBytes take) {
    take({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(int64_t)});
  });
}

absl::Status NpzWriter::AddStrings(const std::string& name,
                                   const std::vector<std::string>& values) {
  std::vector<std::vector<uint32_t>> texts;
  size_t width = 1;  // NumPy has no empty ones
  for (const std::string& value : values) {
    std::vector<uint32_t>& text = texts.emplace_back();
    for (absl::string_view rest = value; !rest.empty();) {
      const size_t length = datasets::Utf8Length(rest);
      if (length == 0) return absl::InvalidArgumentError(absl::StrCat(name, " is not UTF-8"));
      text.push_back(CodePoint(rest.substr(0, length)));
      rest.remove_prefix(length);
    }
    width = std::max(width, text.size());
  }
  std::string bytes;
  for (const std::vector<uint32_t>& text : texts) {
    for (size_t i = 0; i < width; ++i) AppendLittleEndian(i < text.size() ? text[i] : 0, 4, &bytes);
  }
  return Add(name, absl::StrCat("<U", width), {static_cast<int64_t>(values.size())},
             [&](TakeBytes take) { take(bytes); });
}

absl::Status NpzWriter::Finish() {
  const uint64_t begin = position_;
  for (const Entry& entry : entries_) {
    const std::string extra = Zip64Field({entry.size, entry.size, entry.begin});
    std::string head = "PK\1\2";
    AppendLittleEndian(kVersion, 2, &head);  // made by
    head += Common(entry.crc, entry.size, entry.name, extra.size());
    AppendLittleEndian(0, 2, &head);  // comment
    AppendLittleEndian(0, 2, &head);  // disk
    AppendLittleEndian(0, 2, &head);  // internal attributes
    AppendLittleEndian(0, 4, &head);  // external attributes
    AppendLittleEndian(std::min(entry.begin, k32Bits), 4, &head);
    RETURN_IF_ERROR(Write(absl::StrCat(head, entry.name, extra)));
  }
  return Write(EndRecords(entries_.size(), begin, position_ - begin));
}

}  // namespace cmerc
