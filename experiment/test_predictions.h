// The predictions that a run leaves for comparisons with others.
#ifndef CMERC_EXPERIMENT_TEST_PREDICTIONS_H_
#define CMERC_EXPERIMENT_TEST_PREDICTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cmerc {

// A run's predictions of the N utterances of the test split that have a label.
struct TestPredictions {
  std::vector<std::string> ids;        // of each conversation that has such ones
  std::vector<int64_t> lengths;        // of them
  std::vector<int32_t> labels;         // [N], positions in class_names
  std::vector<int32_t> predicted;      // [N]
  std::vector<double> confidences;     // [N], the probability of `predicted`, in [0, 1]
  std::vector<double> true_log_probs;  // [N], natural logarithm of the probability of `labels`
  std::vector<double> log_probs;       // [N * C], of every class, row-major
  // [N * C]: the same after temperature scaling; empty unless every utterance has it.
  std::vector<double> calibrated_log_probs;
};

// Adds the predictions of `more`, of other conversations and the same classes, behind those of
// `all`.
void Append(const TestPredictions& more, TestPredictions* all);

// Reads a test_predictions.jsonl, of this version or an earlier one; empty where there is none, as
// in runs of still earlier ones. `class_names` are those of the run, in its order; where none are
// given, those of the file, sorted. DataLoss: a line is no ConversationPredictions, its lists do
// not fit each other, it names other classes, or a probability that is needed is none; the message
// has file and line.
absl::StatusOr<TestPredictions> ReadTestPredictions(const std::string& path,
                                                    std::vector<std::string> class_names = {});

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_TEST_PREDICTIONS_H_
