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

// A record of a TFRecord file: the length of `data` (8 bytes, little-endian), the masked CRC-32C of
// that length, `data`, and the masked CRC-32C of `data` (4 bytes each).
std::string FrameRecord(absl::string_view data);

// Part of the name of every event file; TensorBoard looks for it.
inline constexpr absl::string_view kEventFileMark = "events.out.tfevents.";

// Writes one event file. Every event is handed to the system before the call returns; a full disk
// is an error of the call that meets it.
class EventWriter {
 public:
  // Makes `folder`/events.out.tfevents.SECONDS.HOST.PROCESS. The name and the events hold times;
  // all else depends on nothing but what is written. Unavailable: the file cannot be written.
  static absl::StatusOr<std::unique_ptr<EventWriter>> Create(const std::string& folder);
  // Continues the file `folder`/`name` after its first `size` bytes; what follows them is removed.
  // InvalidArgument: `name` is no name of an event file. DataLoss: the file is not there, or
  // shorter. Unavailable: it cannot be written.
  static absl::StatusOr<std::unique_ptr<EventWriter>> Continue(const std::string& folder,
                                                               const std::string& name,
                                                               int64_t size);
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  // Writes (tag, value) pairs. TensorBoard keeps them as float32.
  absl::Status WriteScalars(int64_t step,
                            const std::vector<std::pair<std::string, double>>& scalars);
  // Writes a histogram of `values`, which are all finite.
  absl::Status WriteHistogram(int64_t step, const std::string& tag, absl::Span<const float> values);
  // The file's name without its folder.
  std::string name() const { return path_.substr(path_.rfind('/') + 1); }
  // Waits until all that was written is on the disk and returns how many bytes that is.
  absl::StatusOr<int64_t> Sync();
  // Returns an error unless the file is whole on the disk. Nothing may be written afterwards.
  absl::Status Close();

 private:
  EventWriter(std::string path, int file) : path_(std::move(path)), file_(file) {}
  // Writes the event with the time of now.
  absl::Status Write(tensorboard::Event event);
  absl::Status Error() const;

  const std::string path_;
  int file_;
};

}  // namespace cmerc

#endif  // CMERC_TENSORBOARD_EVENT_WRITER_H_
