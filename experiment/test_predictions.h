// The predictions that a run leaves for comparisons with others.
#ifndef CMERC_EXPERIMENT_TEST_PREDICTIONS_H_
#define CMERC_EXPERIMENT_TEST_PREDICTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cmerc {

// A run's predictions of the test split, of N utterances.
struct TestPredictions {
  std::vector<std::string> ids;    // of each conversation
  std::vector<int64_t> lengths;    // its utterances
  std::vector<int32_t> labels;     // [N], positions in class_names
  std::vector<int32_t> predicted;  // [N]
};

// Reads a test_predictions.jsonl, of this version or an earlier one; empty where there is none, as
// in runs of still earlier ones. `class_names` are those of the run, in its order; where none are
// given, those of the file, sorted. DataLoss: a line is no ConversationPredictions, its lists do
// not fit each other, or it names other classes; the message has file and line.
absl::StatusOr<TestPredictions> ReadTestPredictions(const std::string& path,
                                                    std::vector<std::string> class_names = {});

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_TEST_PREDICTIONS_H_
