// Where `cmerc predict` writes its answers.
#ifndef CMERC_BIN_PREDICT_OUTPUT_H_
#define CMERC_BIN_PREDICT_OUTPUT_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bin/resumed_file.h"
#include "calibration/prediction.pb.h"
#include "calibration/prediction_text.h"
#include "core/dataset.h"
#include "core/view.h"
#include "storage/atomic_file.h"

namespace cmerc {

// Whether --output=`output` is a table: its name ends with .csv.
bool IsTable(const std::string& output);

// InvalidArgument: the name of --output=`output` ends as a file does that this is not.
absl::Status CheckAnswerName(const std::string& output);

// InvalidArgument: the file at `path`, to go on with, holds more answers than there are
// conversations.
absl::Status MoreThanThereIs(const std::string& path, int64_t answers, int64_t conversations);

// Standard output, batch by batch, or a file, which appears at the end: JSON Lines, or CSV
// where it IsTable(); or a file that grows with each batch (bin/resumed_file.h).
class PredictOutput {
 public:
  // "-": standard output. A reader that goes away is then an error of Write(), and not a signal
  // that ends the program without a word. The answers are of a model for `info`, each with `views`
  // and `keys`.
  static absl::StatusOr<PredictOutput> Open(const std::string& path, const DatasetInfo& info,
                                            const std::vector<View>& views,
                                            const OptionalKeys& keys = {});

  // Goes on with a file of lines of JSON, of which the answers from number `first` on will be given
  // again: they are only compared. Unavailable: it cannot be read.
  static absl::StatusOr<PredictOutput> Resume(std::unique_ptr<ResumedFile> file, int64_t first);

  // Adds an answer to those that wait for Flush(). False: it is in the file already.
  bool Add(const PredictedConversation& prediction, const CarriedAlong& carried);
  // The same for a line of JSON, without its end, on standard output.
  void AddLine(const std::string& line);
  // Writes what waits. Unavailable: standard output cannot be written. InvalidArgument: an answer
  // is another one than the file to go on with has in its place. Other codes: those of
  // AtomicFile::Write() or ResumedFile::Append().
  absl::Status Flush();
  // Lets the file appear. InvalidArgument: the file to go on with has more answers than there are.
  // Other errors are those of AtomicFile::Commit() or ResumedFile::Sync().
  absl::Status Finish();

 private:
  // Compares an answer with the next of there_, and takes that away.
  void Compare(const std::string& answer);

  std::unique_ptr<AtomicFile> file_;      // null: standard output, or ...
  std::unique_ptr<ResumedFile> resumed_;  // ... this
  std::deque<std::string> there_;         // the lines of it that are still to come again
  absl::Status other_;                    // InvalidArgument: one came that is not the same
  std::optional<PredictionTable> table_;  // of CSV
  bool has_header_ = false;
  std::string text_;  // what is not written yet
};

}  // namespace cmerc

#endif  // CMERC_BIN_PREDICT_OUTPUT_H_
