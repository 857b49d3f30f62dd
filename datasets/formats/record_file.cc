#include "datasets/formats/record_file.h"

#include <zlib.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "datasets/formats/conversation.h"

namespace cmerc {
namespace {

constexpr absl::string_view kMagic =
    "\x89"
    "CMERC\r\n";
constexpr uint32_t kVersion = 1;
constexpr size_t kMaxMessageBytes = size_t{1} << 29;
// A file that claims a large record is believed as far as it goes.
constexpr size_t kChunkBytes = size_t{1} << 22;

uint32_t Crc32(absl::string_view bytes, uint32_t before = 0) {
  return static_cast<uint32_t>(
      crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

void AppendNumber(uint64_t value, int size, std::string* out) {
  for (int i = 0; i < size; ++i) out->push_back(static_cast<char>(value >> 8 * i));
}

uint64_t Number(absl::string_view bytes, size_t position, int size) {
  uint64_t value = 0;
  for (int i = size - 1; i >= 0; --i) {
    value = value << 8 | static_cast<uint8_t>(bytes[position + i]);
  }
  return value;
}

}  // namespace

absl::Status RecordFileReader::Error(absl::string_view problem) const {
  return absl::InvalidArgumentError(absl::StrCat(
      name_, ", ", record_ == 0 ? "header" : absl::StrCat("record ", record_), ": ", problem));
}

absl::Status RecordFileReader::Read(size_t size) {
  buffer_.resize(std::min(size, std::max(buffer_.capacity(), kChunkBytes)));
  size_t done = 0;
  while (done < size) {
    if (done == buffer_.size()) buffer_.resize(std::min(size, 2 * done));
    in_.read(&buffer_[done], static_cast<std::streamsize>(buffer_.size() - done));
    const auto count = static_cast<size_t>(in_.gcount());
    done += count;
    position_ += static_cast<int64_t>(count);
    if (in_.bad()) {
      return absl::UnavailableError(
          absl::StrCat(name_, ": cannot be read beyond byte ", position_));
    }
    if (count == 0) {
      return Error(absl::StrCat("the file is truncated: it ends at byte ", position_, ", want ",
                                size - done, " more; copy or convert it again"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> RecordFileReader::ReadFrame() {
  const int64_t begin = position_;
  const auto damaged = [&] {
    return Error(absl::StrCat("the file is damaged at or after byte ", begin,
                              " (its CRC-32 does not match); copy or convert it again"));
  };
  absl::Status status = Read(8);
  if (!status.ok()) return status;
  const std::string size_bytes = buffer_.substr(0, 4);
  const size_t size = Number(buffer_, 0, 4);
  const auto crc = static_cast<uint32_t>(Number(buffer_, 4, 4));
  if (size > kMaxMessageBytes) {
    return Error(absl::StrCat("claims ", size, " bytes, want at most ", kMaxMessageBytes,
                              "; the file is damaged"));
  }
  status = Read(size == 0 ? 8 : size);
  if (!status.ok()) return status;
  if (Crc32(buffer_, Crc32(size_bytes)) != crc) return damaged();
  if (size > 0) return true;
  const uint64_t records = Number(buffer_, 0, 8);
  if (records + 1 != static_cast<uint64_t>(record_)) {
    return Error(absl::StrCat("the file ends after ", record_ - 1, " records, want ", records));
  }
  if (in_.peek() != std::char_traits<char>::eof()) {
    return Error(absl::StrCat("something follows the end of the records, at byte ", position_));
  }
  return false;
}

absl::Status RecordFileReader::ReadHeader() {
  absl::Status status = Read(kMagic.size() + 4);
  if (!status.ok()) return status;
  if (absl::string_view(buffer_).substr(0, kMagic.size()) != kMagic) {
    return Error("this is no record file: it does not begin with \\x89CMERC\\r\\n");
  }
  const uint64_t version = Number(buffer_, kMagic.size(), 4);
  if (version != kVersion) {
    return Error(absl::StrCat("format version ", version, ", want ", kVersion,
                              "; convert the data again with this program"));
  }
  const absl::StatusOr<bool> found = ReadFrame();
  if (!found.ok()) return found.status();
  if (!*found || !schema_.ParseFromString(buffer_)) return Error("holds no DatasetSchema");
  status = CheckSchema(schema_);
  if (!status.ok()) return Error(status.message());
  checker_.emplace(schema_);
  return status;
}

absl::StatusOr<std::unique_ptr<RecordFileReader>> RecordFileReader::Open(std::istream& in,
                                                                         std::string name) {
  std::unique_ptr<RecordFileReader> reader(new RecordFileReader(in, std::move(name)));
  const absl::Status status = reader->ReadHeader();
  if (!status.ok()) return status;
  return reader;
}

absl::StatusOr<std::optional<ConversationRecord>> RecordFileReader::ReadRecord() {
  ++record_;
  const absl::StatusOr<bool> found = ReadFrame();
  if (!found.ok()) return found.status();
  if (!*found) return std::nullopt;
  ConversationRecord record;
  if (!record.ParseFromString(buffer_)) return Error("holds no ConversationRecord");
  absl::Status status = CheckRecord(record);
  if (status.ok()) status = checker_->Check(record);
  if (!status.ok()) return Error(status.message());
  return record;
}

absl::StatusOr<std::optional<ConversationRecord>> RecordFileReader::Next() {
  if (ended_) return std::nullopt;
  absl::StatusOr<std::optional<ConversationRecord>> record = ReadRecord();
  ended_ = !record.ok() || !record->has_value();
  return record;
}

absl::StatusOr<std::unique_ptr<RecordFileWriter>> RecordFileWriter::Create(
    const DatasetSchema& schema, Sink sink) {
  absl::Status status = CheckSchema(schema);
  if (!status.ok()) return status;
  std::unique_ptr<RecordFileWriter> writer(new RecordFileWriter(schema, std::move(sink)));
  std::string beginning(kMagic);
  AppendNumber(kVersion, 4, &beginning);
  status = writer->sink_(beginning);
  if (status.ok()) status = writer->WriteFrame(schema);
  if (!status.ok()) return status;
  return writer;
}

absl::Status RecordFileWriter::WriteFrame(const google::protobuf::Message& message) {
  const size_t size = message.ByteSizeLong();
  if (size > kMaxMessageBytes) {
    return absl::InvalidArgumentError(absl::StrCat("takes ", size, " bytes, want at most ",
                                                   kMaxMessageBytes, "; split the conversation"));
  }
  buffer_.clear();
  message.AppendToString(&buffer_);
  std::string head;
  AppendNumber(size, 4, &head);
  AppendNumber(Crc32(buffer_, Crc32(head)), 4, &head);
  const absl::Status status = sink_(head);
  return status.ok() ? sink_(buffer_) : status;
}

absl::Status RecordFileWriter::Write(const ConversationRecord& record) {
  absl::Status status = CheckRecord(record);
  if (status.ok()) status = checker_.Check(record);
  if (status.ok()) status = WriteFrame(record);
  if (status.ok()) {
    ++records_;
    return status;
  }
  if (!absl::IsInvalidArgument(status)) return status;  // of the sink
  return absl::InvalidArgumentError(
      absl::StrCat("conversation ", record.id(), ": ", status.message()));
}

absl::Status RecordFileWriter::Finish() {
  std::string size;
  AppendNumber(0, 4, &size);
  std::string count;
  AppendNumber(records_, 8, &count);
  std::string crc;
  AppendNumber(Crc32(count, Crc32(size)), 4, &crc);
  return sink_(absl::StrCat(size, crc, count));
}

}  // namespace cmerc
