// Where `cmerc predict` writes its answers.
#ifndef CMERC_BIN_PREDICT_OUTPUT_H_
#define CMERC_BIN_PREDICT_OUTPUT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
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

// Standard output, batch by batch, or a file, which appears at the end: JSON Lines, or CSV
// where it IsTable().
class PredictOutput {
 public:
  // "-": standard output. A reader that goes away is then an error of Write(), and not a signal
  // that ends the program without a word. The answers are of a model for `info`, each with `views`
  // and `keys`.
  static absl::StatusOr<PredictOutput> Open(const std::string& path, const DatasetInfo& info,
                                            const std::vector<View>& views,
                                            const OptionalKeys& keys = {});

  // Adds an answer to those that wait for Flush().
  void Add(const PredictedConversation& prediction, const CarriedAlong& carried);
  // The same for a line of JSON, without its end, on standard output.
  void AddLine(const std::string& line);
  // Writes what waits. Unavailable: standard output cannot be written. Other codes: those of
  // AtomicFile::Write().
  absl::Status Flush();
  // Lets the file appear. Errors are those of AtomicFile::Commit().
  absl::Status Finish();

 private:
  std::unique_ptr<AtomicFile> file_;      // null: standard output
  std::optional<PredictionTable> table_;  // of CSV
  bool has_header_ = false;
  std::string text_;  // what is not written yet
};

}  // namespace cmerc

#endif  // CMERC_BIN_PREDICT_OUTPUT_H_
