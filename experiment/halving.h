// Compares the trials of a search by the validation split and drops the worse half again and again
// (successive halving: Jamieson and Talwalkar, AISTATS 2016).
#ifndef CMERC_EXPERIMENT_HALVING_H_
#define CMERC_EXPERIMENT_HALVING_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "experiment/plan.h"
#include "experiment/results.pb.h"
#include "experiment/search.h"

namespace cmerc {

// After how many of its `epochs` a trial is compared in round 0, 1, ... `halvings`: 1/2^halvings of
// them, twice as many, and so on; in the last round all. Parts of an epoch count as one.
int RoundEpochs(int epochs, int halvings, int round);

// How a trial stands in a round.
struct Standing {
  int trial;                    // its number
  std::optional<double> score;  // SelectionScore(), the higher, the better; none: it failed
};

// The best first, equal scores in the order of their numbers, those that failed last.
std::vector<Standing> Ranked(std::vector<Standing> scores);

// How many of `ranked` go on: the better half, the one in the middle included, and none that
// failed.
size_t GoOn(const std::vector<Standing>& ranked);

// Does runs as DoRuns() does, and returns "RUN: why" for those that failed.
using RunsDoer =
    std::function<absl::StatusOr<std::vector<std::string>>(const std::vector<PlannedRun>& runs)>;

// Trains the trials of all searches, round by round, by `do_runs`, whose errors are its own, and
// tells of it on standard output. Unavailable: runs of a round were left to another process,
// without which the trials cannot be compared. A run of a trial is in
// OUTPUT/DATASET/VARIANT/trial-T/seed-N with the files of DoRuns(), but for
//   finished.txt  says after how many epochs it has stopped
//   failed.txt    the identity and why: a trial of which a run fails, while others of its search do
//                 not, is ranked last and not tried again
// The weights of trials that are no longer needed are removed. What an earlier call has done for
// the same trials is not done again.
absl::StatusOr<SearchResults> DoSearch(const SearchPlan& plan, const std::string& output,
                                       const RunsDoer& do_runs);

// Whether a run of a trial has failed and is not tried again; why, or nothing.
std::optional<std::string> WhyFailed(const PlannedRun& run, const std::string& output);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_HALVING_H_
