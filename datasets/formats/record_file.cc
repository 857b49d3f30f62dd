#include "datasets/formats/record_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bytes/crc32.h"
#include "bytes/little_endian.h"
#include "core/status.h"
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

absl::StatusOr<RecordFileReader::FrameHead> RecordFileReader::ReadFrameHead() {
  RETURN_IF_ERROR(Read(8));
  FrameHead head{ReadLittleEndian(buffer_, 0, 4),
                 static_cast<uint32_t>(ReadLittleEndian(buffer_, 4, 4)), buffer_.substr(0, 4)};
  if (head.size <= kMaxMessageBytes) return head;
  return Error(absl::StrCat("claims ", head.size, " bytes, want at most ", kMaxMessageBytes,
                            "; the file is damaged"));
}

absl::StatusOr<bool> RecordFileReader::ReadFrame() {
  const int64_t begin = position_;
  ASSIGN_OR_RETURN(const FrameHead head, ReadFrameHead());
  return ReadFrameBehind(head, begin);
}

absl::StatusOr<bool> RecordFileReader::SkipFrame() {
  const int64_t begin = position_;
  ASSIGN_OR_RETURN(const FrameHead head, ReadFrameHead());
  if (head.size == 0) return ReadFrameBehind(head, begin);
  // All but the last byte: a file that ends before is noticed at that one.
  const auto most = static_cast<std::streamsize>(head.size - 1);
  if (!in_.seekg(most, std::ios::cur)) {
    in_.clear();  // what is being inflated has no places to go to
    in_.ignore(most);
  }
  position_ += most;
  RETURN_IF_ERROR(Read(1));
  return true;
}

absl::StatusOr<bool> RecordFileReader::ReadFrameBehind(const FrameHead& head, int64_t begin) {
  RETURN_IF_ERROR(Read(head.size == 0 ? 8 : head.size));
  if (Crc32(buffer_, Crc32(head.size_bytes)) != head.crc) {
    return Error(absl::StrCat("the file is damaged at or after byte ", begin,
                              " (its CRC-32 does not match); copy or convert it again"));
  }
  if (head.size > 0) return true;
  const uint64_t records = ReadLittleEndian(buffer_, 0, 8);
  if (records + 1 != static_cast<uint64_t>(record_)) {
    return Error(absl::StrCat("the file ends after ", record_ - 1, " records, want ", records));
  }
  if (in_.peek() != std::char_traits<char>::eof()) {
    return Error(absl::StrCat("something follows the end of the records, at byte ", position_));
  }
  return false;
}

absl::Status RecordFileReader::ReadHeader() {
  RETURN_IF_ERROR(Read(kMagic.size() + 4));
  if (absl::string_view(buffer_).substr(0, kMagic.size()) != kMagic) {
    return Error("this is no record file: it does not begin with \\x89CMERC\\r\\n");
  }
  const uint64_t version = ReadLittleEndian(buffer_, kMagic.size(), 4);
  if (version != kVersion) {
    return Error(absl::StrCat("format version ", version, ", want ", kVersion,
                              "; convert the data again with this program"));
  }
  ASSIGN_OR_RETURN(const bool found, ReadFrame());
  if (!found || !schema_.ParseFromString(buffer_)) return Error("holds no DatasetSchema");
  const absl::Status status = CheckSchema(schema_);
  if (!status.ok()) return Error(status.message());
  checker_.emplace(schema_);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RecordFileReader>> RecordFileReader::Open(std::istream& in,
                                                                         std::string name) {
  std::unique_ptr<RecordFileReader> reader(new RecordFileReader(in, std::move(name)));
  RETURN_IF_ERROR(reader->ReadHeader());
  return reader;
}

absl::StatusOr<std::optional<ConversationRecord>> RecordFileReader::ReadRecord() {
  ++record_;
  ASSIGN_OR_RETURN(const bool found, ReadFrame());
  if (!found) return std::nullopt;
  ConversationRecord record;
  if (!record.ParseFromString(buffer_)) return Error("holds no ConversationRecord");
  absl::Status status = CheckRecord(record);
  if (status.ok()) status = checker_->Check(record);
  if (!status.ok()) return Error(status.message());
  for (const DatasetSchema::Modality& entry : schema_.modalities()) {
    if (!entry.has_extractor()) continue;
    for (ConversationRecord::Modality& modality : *record.mutable_modalities()) {
      if (modality.name() == entry.name()) modality.set_extractor(entry.extractor());
    }
  }
  return record;
}

absl::StatusOr<std::optional<ConversationRecord>> RecordFileReader::Next() {
  if (ended_) return std::nullopt;
  absl::StatusOr<std::optional<ConversationRecord>> record = ReadRecord();
  ended_ = !record.ok() || !record->has_value();
  return record;
}

absl::StatusOr<bool> RecordFileReader::Skip() {
  if (ended_) return false;
  ++record_;
  absl::StatusOr<bool> found = SkipFrame();
  ended_ = !found.ok() || !*found;
  return found;
}

absl::StatusOr<std::unique_ptr<RecordFileWriter>> RecordFileWriter::Create(
    const DatasetSchema& schema, Sink sink) {
  RETURN_IF_ERROR(CheckSchema(schema));
  std::unique_ptr<RecordFileWriter> writer(new RecordFileWriter(schema, std::move(sink)));
  std::string beginning(kMagic);
  AppendLittleEndian(kVersion, 4, &beginning);
  RETURN_IF_ERROR(writer->sink_(beginning));
  RETURN_IF_ERROR(writer->WriteFrame(schema));
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
  AppendLittleEndian(size, 4, &head);
  AppendLittleEndian(Crc32(buffer_, Crc32(head)), 4, &head);
  RETURN_IF_ERROR(sink_(head));
  return sink_(buffer_);
}

absl::Status RecordFileWriter::Write(const ConversationRecord& record) {
  absl::Status status = CheckRecord(record);
  if (status.ok()) status = checker_.Check(record);
  if (status.ok()) status = WriteFrame(record);
  if (status.ok()) {
    ++records_;
    return status;
  }
  if (!absl::IsInvalidArgument(status)) return status;  // one of the sink
  return absl::InvalidArgumentError(
      absl::StrCat("conversation ", record.id(), ": ", status.message()));
}

absl::Status RecordFileWriter::Finish() {
  std::string size;
  AppendLittleEndian(0, 4, &size);
  std::string count;
  AppendLittleEndian(records_, 8, &count);
  std::string crc;
  AppendLittleEndian(Crc32(count, Crc32(size)), 4, &crc);
  return sink_(absl::StrCat(size, crc, count));
}

}  // namespace cmerc
