// Event files: what `tensorboard --logdir` shows.
#ifndef CMERC_TENSORBOARD_EVENT_WRITER_H_
#define CMERC_TENSORBOARD_EVENT_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "tensorboard/event.pb.h"

namespace cmerc {

// A record of a TFRecord file: length of `data` (8 bytes, little-endian), its masked CRC-32C,
// `data`, its masked CRC-32C (4 bytes each).
std::string FrameRecord(absl::string_view data);

// Part of the name of every event file; TensorBoard looks for it.
inline constexpr absl::string_view kEventFileMark = "events.out.tfevents.";

// Writes one event file. Every event is handed to the system before the call returns; a full disk
// is an error of the call that meets it.
class EventWriter {
 public:
  // Makes `folder`/events.out.tfevents.SECONDS.HOST.PROCESS. Times are in it and in the events; all
  // else depends on what is written alone.
  static absl::StatusOr<std::unique_ptr<EventWriter>> Create(const std::string& folder);
  // Goes on with the file `folder`/`name` after its first `size` bytes; what follows is removed.
  // InvalidArgument: that is no name of an event file. DataLoss: it is not there, or shorter.
  static absl::StatusOr<std::unique_ptr<EventWriter>> Continue(const std::string& folder,
                                                               const std::string& name,
                                                               int64_t size);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // (tag, value) pairs. TensorBoard keeps float32.
  absl::Status WriteScalars(int64_t step,
                            const std::vector<std::pair<std::string, double>>& scalars);
  // Every value is finite.
  absl::Status WriteHistogram(int64_t step, const std::string& tag, absl::Span<const float> values);
  // The file's name without its folder.
  std::string name() const { return path_.substr(path_.rfind('/') + 1); }
  // What was written is on the disk; how many bytes that is.
  absl::StatusOr<int64_t> Sync();
  // Says whether the file is whole on the disk. Nothing may be written after it.
  absl::Status Close();

 private:
  EventWriter(std::string path, int file) : path_(std::move(path)), file_(file) {}
  // Adds the time.
  absl::Status Write(tensorboard::Event event);
  absl::Status Error() const;

  const std::string path_;
  int file_;
};

}  // namespace cmerc

#endif  // CMERC_TENSORBOARD_EVENT_WRITER_H_
