#include "tensorboard/event_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bytes/little_endian.h"
#include "tensorboard/crc32c.h"
#include "tensorboard/histogram.h"

namespace cmerc {
namespace {

constexpr char kFileVersion[] = "brain.Event:2";

double Now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string HostName() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

}  // namespace

std::string FrameRecord(absl::string_view data) {
  std::string record;
  AppendLittleEndian(data.size(), 8, &record);
  AppendLittleEndian(MaskedCrc32c(record), 4, &record);
  absl::StrAppend(&record, data);
  AppendLittleEndian(MaskedCrc32c(data), 4, &record);
  return record;
}

absl::StatusOr<std::unique_ptr<EventWriter>> EventWriter::Create(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/", kEventFileMark, static_cast<int64_t>(Now()),
                                        ".", HostName(), ".", getpid());
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  std::unique_ptr<EventWriter> writer(new EventWriter(path, file));
  if (file < 0) return writer->Error();
  tensorboard::Event event;
  event.set_file_version(kFileVersion);
  const absl::Status status = writer->Write(event);
  if (!status.ok()) return status;
  return writer;
}

absl::StatusOr<std::unique_ptr<EventWriter>> EventWriter::Continue(const std::string& folder,
                                                                   const std::string& name,
                                                                   int64_t size) {
  if (!absl::StartsWith(name, kEventFileMark) || absl::StrContains(name, '/')) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", name, "\" is not the name of an event file"));
  }
  const std::string path = absl::StrCat(folder, "/", name);
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  std::unique_ptr<EventWriter> writer(new EventWriter(path, file));
  const int64_t end = file < 0 ? -1 : lseek(file, 0, SEEK_END);
  if (end < size) {
    return absl::DataLossError(absl::StrCat(
        path, ": ", file < 0 ? std::strerror(errno) : absl::StrCat("has ", end, " bytes"),
        ", want the ", size, " that the interrupted run wrote; was it changed since?"));
  }
  if (ftruncate(file, size) != 0 || lseek(file, size, SEEK_SET) != size) return writer->Error();
  return writer;
}

EventWriter::~EventWriter() {
  if (file_ >= 0) close(file_);
}

absl::Status EventWriter::Error() const {
  const int error = errno;
  return absl::Status(absl::ErrnoToStatusCode(error),
                      absl::StrCat("cannot write ", path_, ": ", std::strerror(error),
                                   "; free some space, choose another --output, or leave out "
                                   "--tensorboard"));
}

absl::Status EventWriter::Write(tensorboard::Event event) {
  event.set_wall_time(Now());
  const std::string record = FrameRecord(event.SerializeAsString());
  absl::string_view left = record;
  while (!left.empty()) {
    const ssize_t written = write(file_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return Error();
    left.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status EventWriter::WriteScalars(int64_t step,
                                       const std::vector<std::pair<std::string, double>>& scalars) {
  tensorboard::Event event;
  event.set_step(step);
  for (const auto& [tag, value] : scalars) {
    tensorboard::Summary::Value* scalar = event.mutable_summary()->add_value();
    scalar->set_tag(tag);
    scalar->set_simple_value(static_cast<float>(value));
  }
  return Write(std::move(event));
}

absl::Status EventWriter::WriteHistogram(int64_t step, const std::string& tag,
                                         absl::Span<const float> values) {
  tensorboard::Event event;
  event.set_step(step);
  tensorboard::Summary::Value* value = event.mutable_summary()->add_value();
  value->set_tag(tag);
  *value->mutable_histo() = MakeHistogram(values);
  return Write(std::move(event));
}

absl::StatusOr<int64_t> EventWriter::Sync() {
  if (fsync(file_) != 0) return Error();
  return lseek(file_, 0, SEEK_CUR);
}

absl::Status EventWriter::Close() {
  const absl::Status synced = Sync().status();
  if (!synced.ok()) return synced;
  const int closed = close(file_);
  file_ = -1;
  return closed == 0 ? absl::OkStatus() : Error();
}

}  // namespace cmerc
