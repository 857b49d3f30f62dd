// What a run leaves of its predictions without a source of evidence.
#ifndef CMERC_EXPERIMENT_TEST_VIEWS_H_
#define CMERC_EXPERIMENT_TEST_VIEWS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace cmerc {

// Log-probabilities of the true class of the N utterances of the test split that have a label.
struct TestViews {
  std::vector<std::string> ids;                        // of each conversation that has such ones
  std::vector<int64_t> lengths;                        // of them
  std::vector<double> log_probs;                       // [N], with all evidence
  std::map<std::string, std::vector<double>> without;  // view -> [N]
};

// Adds the numbers of `more`, of other conversations, behind those of `all`; views that one of them
// lacks are left out.
void Append(const TestViews& more, TestViews* all);

// Reads a test_views.jsonl; empty where there is none, as in runs of versions before 0.2. DataLoss:
// a line is no ConversationViews, or its lists do not fit each other or the line before; the
// message has file and line.
absl::StatusOr<TestViews> ReadTestViews(const std::string& path);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_TEST_VIEWS_H_
