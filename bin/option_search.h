// The search of an experiment, as its command does it.
#ifndef CMERC_BIN_OPTION_SEARCH_H_
#define CMERC_BIN_OPTION_SEARCH_H_

#include <array>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "experiment/halving.h"
#include "experiment/plan.h"
#include "experiment/search.h"

namespace cmerc {

// What a search writes into the folder of its experiment.
inline constexpr std::array<const char*, 2> kSearchFiles = {"search.md", "search.json"};

// Says which trials there are, with their options and how far they have got.
void PrintTrials(const SearchPlan& search, const std::string& output);

// The runs of trials as workers are to mean them alike (AgreeOnRuns()): which trials go on depends
// on how many there are and how often they are compared, too.
std::vector<PlannedRun> TrialsToAgreeOn(const SearchPlan& search);

// Does the search in the folder `output` by `do_runs`, writes kSearchFiles there, prints what was
// chosen, and puts it into `runs` as ApplyChosen() does, with its `failures`. Errors: those of
// DoSearch() and ApplyChosen(), and of files that cannot be written.
absl::Status SearchOptions(const SearchPlan& search, const std::string& output,
                           const RunsDoer& do_runs, std::vector<PlannedRun>* runs,
                           std::vector<FailedRun>* failures);

}  // namespace cmerc

#endif  // CMERC_BIN_OPTION_SEARCH_H_
