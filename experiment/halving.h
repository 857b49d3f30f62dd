// Compares the trials of a search by the validation split and drops the worse half again and again
// (successive halving: Jamieson and Talwalkar, AISTATS 2016).
#ifndef CMERC_EXPERIMENT_HALVING_H_
#define CMERC_EXPERIMENT_HALVING_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
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

// Does runs as DoRuns() does; its errors alone count.
using RunsDoer = std::function<absl::Status(const std::vector<PlannedRun>& runs)>;

// Trains the trials of all searches, round by round, by `do_runs`, whose errors are its own, and
// tells of it on standard output. Any number of processes may do the same search in the same
// folder: what a round has come to follows from the files of its runs alone, so that all of them
// drop and choose the same trials, whoever trained them. Unavailable: a run has neither failed nor
// got as far as it was to get, although `do_runs` has returned. A run of a trial is in
// OUTPUT/DATASET/VARIANT/trial-T/seed-N with the files of DoRuns(), of which
//   finished.txt  says after how many epochs it has stopped, and still does when it goes on
//   failed.txt    is there where it has failed: its trial is ranked last and not tried again,
//                 unless all that were left have failed, which the next call tries again
// The weights of trials that are no longer needed are removed. What an earlier call has done for
// the same trials is not done again.
absl::StatusOr<SearchResults> DoSearch(const SearchPlan& plan, const std::string& output,
                                       const RunsDoer& do_runs);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_HALVING_H_
