// Record files: a data set in one file, to be read once from front to end. All numbers are
// little-endian.
//
//   8 bytes    89 43 4D 45 52 43 0D 0A ("CMERC" and a line end, after a byte no text begins with)
//   4 bytes    version of the format, 1
//   a frame    DatasetSchema
//   frames     ConversationRecord, one each
//   the end    4 bytes 0; 4 bytes CRC-32 of these and of the following; 8 bytes number of records
//
// A frame is 4 bytes size of the message (>= 1), 4 bytes CRC-32 of these four bytes and of the
// message, and the message in Protobuf's wire format.
#ifndef CMERC_DATASETS_FORMATS_RECORD_FILE_H_
#define CMERC_DATASETS_FORMATS_RECORD_FILE_H_

#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "datasets/formats/conversation.h"
#include "datasets/formats/conversation.pb.h"

namespace cmerc {

// The first byte of every record file.
constexpr char kRecordFileFirstByte = '\x89';

class RecordFileReader {
 public:
  // Reads the header. `name` is for messages; `in` must outlive this. InvalidArgument: not a record
  // file, of a later version, damaged, CheckSchema() fails. Unavailable: the stream cannot be read.
  static absl::StatusOr<std::unique_ptr<RecordFileReader>> Open(std::istream& in, std::string name);

  const DatasetSchema& schema() const { return schema_; }

  // Returns the next record; CheckRecord() and CheckFitsSchema() hold for it, and its modalities
  // say the extractors of the schema. nullopt at the end and after an error. InvalidArgument:
  // truncated, damaged, a wrong record; the message names file and record. Memory is bounded by
  // what the file really holds, and by 512 MiB per record.
  absl::StatusOr<std::optional<ConversationRecord>> Next();

  // Goes over the next record without looking into it; false at the end and after an error.
  // InvalidArgument: truncated, or the end is damaged.
  absl::StatusOr<bool> Skip();

  // The number of the record that Next() has just returned, from 1.
  int64_t record() const { return record_; }
  // The message that it was read from, and where that begins in the stream, in bytes.
  absl::string_view message() const { return buffer_; }
  int64_t begin() const { return position_ - static_cast<int64_t>(buffer_.size()); }

 private:
  RecordFileReader(std::istream& in, std::string name) : in_(in), name_(std::move(name)) {}

  absl::Status ReadHeader();
  absl::StatusOr<std::optional<ConversationRecord>> ReadRecord();
  // Replaces buffer_ by the next `size` bytes.
  absl::Status Read(size_t size);
  // The size and the CRC-32 in front of a frame, and the bytes of the size.
  struct FrameHead {
    size_t size;
    uint32_t crc;
    std::string size_bytes;
  };
  absl::StatusOr<FrameHead> ReadFrameHead();
  // Replaces buffer_ by the message of the next frame; false at the end of the file, which is
  // checked.
  absl::StatusOr<bool> ReadFrame();
  // The same of what follows a head, whose frame begins at byte `begin`.
  absl::StatusOr<bool> ReadFrameBehind(const FrameHead& head, int64_t begin);
  absl::StatusOr<bool> SkipFrame();
  absl::Status Error(absl::string_view problem) const;

  std::istream& in_;
  const std::string name_;
  DatasetSchema schema_;
  std::optional<SchemaChecker> checker_;  // after the header
  std::string buffer_;
  int64_t position_ = 0;  // in the file
  int64_t record_ = 0;    // 0: the header
  bool ended_ = false;
};

class RecordFileWriter {
 public:
  // Takes the bytes of the file, piece by piece.
  using Sink = std::function<absl::Status(absl::string_view bytes)>;

  // Writes the header. InvalidArgument: CheckSchema() fails. Errors of `sink` are passed on.
  static absl::StatusOr<std::unique_ptr<RecordFileWriter>> Create(const DatasetSchema& schema,
                                                                  Sink sink);

  // Writes a record. InvalidArgument: CheckRecord() or CheckFitsSchema() fails, or it takes more
  // than 512 MiB. Errors of the sink are passed on.
  absl::Status Write(const ConversationRecord& record);
  // Writes the end, without which the file is not whole. Nothing is written afterwards.
  absl::Status Finish();

 private:
  RecordFileWriter(DatasetSchema schema, Sink sink)
      : schema_(std::move(schema)), checker_(schema_), sink_(std::move(sink)) {}

  absl::Status WriteFrame(const google::protobuf::Message& message);

  const DatasetSchema schema_;
  const SchemaChecker checker_;
  const Sink sink_;
  std::string buffer_;
  uint64_t records_ = 0;
};

}  // namespace cmerc

#endif  // CMERC_DATASETS_FORMATS_RECORD_FILE_H_
