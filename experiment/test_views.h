// What a run leaves of its predictions without a source of evidence.
#ifndef CMERC_EXPERIMENT_TEST_VIEWS_H_
#define CMERC_EXPERIMENT_TEST_VIEWS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cmerc {

// Log-probabilities of the N utterances of the test split that have a label: of their true class,
// and of the most probable one.
struct TestViews {
  using ByView = std::map<std::string, std::vector<double>>;  // view -> [N]

  std::vector<std::string> ids;   // of each conversation that has such ones
  std::vector<int64_t> lengths;   // of them
  std::vector<double> log_probs;  // [N], with all evidence
  ByView without;
  // Both empty where the file does not say, as in runs before it did.
  std::vector<double> largest;  // [N]
  ByView largest_without;
};

// Adds the numbers of `more`, of other conversations, behind those of `all`; views that one of them
// lacks are left out, and `largest` with its views where one of them lacks it.
void Append(const TestViews& more, TestViews* all);

// Reads a test_views.jsonl; empty where there is none, as in runs of versions before 0.2. DataLoss:
// a line is no ConversationViews, or its lists do not fit each other or the line before; the
// message has file and line.
absl::StatusOr<TestViews> ReadTestViews(const std::string& path);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_TEST_VIEWS_H_
