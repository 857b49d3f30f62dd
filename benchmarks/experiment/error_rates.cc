// How often the tests and intervals of `cmerc experiment` are wrong, on test splits as they are:
//
//   bazel run //benchmarks/experiment:error_rates -- RUN/test_predictions.jsonl...
//
// Of each file the conversations and labels are taken, and systems of equal quality are made up for
// them (benchmarks/experiment/null_simulation.h), 5000 pairs with two seeds. Printed: how often the
// test over conversations says p <= 0.05, how often one that exchanges single utterances would, and
// how often the interval over conversations holds the true difference; then how often the interval
// over seeds holds the true mean. Five minutes of a processor for both corpora.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/str_format.h"
#include "benchmarks/experiment/null_simulation.h"
#include "experiment/test_predictions.h"

namespace cmerc {
namespace {

constexpr int kPairs = 5000;
constexpr int kSeeds = 2;

int Run(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const auto read = ReadTestPredictions(argv[i]);
    if (!read.ok() || read->labels.empty()) {
      std::cerr << argv[i] << ": "
                << (read.ok() ? "no predictions; name a test_predictions.jsonl of `cmerc train`"
                              : std::string(read.status().message()))
                << "\n";
      return 2;
    }
    const TestSplit split = {read->lengths, read->labels,
                             *std::max_element(read->labels.begin(), read->labels.end()) + 1};
    std::cout << absl::StrFormat("%s: %d conversations, %d utterances\n", argv[i],
                                 split.lengths.size(), split.labels.size());
    for (const double effect : {0.0, 0.25, 0.5, 1.0}) {
      const ErrorRates rates = MeasureErrorRates(split, kSeeds, effect, kPairs);
      std::cout << absl::StrFormat(
                       "  effect %.2f: rejected at 5 %%: %.2f %% by conversations, %.2f %% by "
                       "utterances; "
                       "interval covers %.2f %%\n",
                       effect, 100 * rates.rejected, 100 * rates.rejected_utterances,
                       100 * rates.covered)
                << std::flush;
    }
  }
  for (const int seeds : {2, 3, 5, 10}) {
    std::cout << absl::StrFormat("interval over %d seeds covers %.2f %%\n", seeds,
                                 100 * CoverageOverSeeds(seeds, 100000));
  }
  return 0;
}

}  // namespace
}  // namespace cmerc

int main(int argc, char** argv) { return cmerc::Run(argc, argv); }
