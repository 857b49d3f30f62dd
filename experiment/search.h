// The search of a plan: which trials there are, and what becomes of the runs once options are
// chosen.
#ifndef CMERC_EXPERIMENT_SEARCH_H_
#define CMERC_EXPERIMENT_SEARCH_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "experiment/plan.h"
#include "experiment/plan.pb.h"
#include "experiment/results.pb.h"

namespace cmerc {

// A setting of the options that are drawn.
struct Trial {
  int number = 0;                    // 1, 2, ...
  std::vector<DrawnOption> options;  // in the order in which they are drawn
  std::vector<PlannedRun> runs;      // one for each training seed, without stop_after
  std::optional<int> same_as = {};   // the first trial with the same options, where there is one
};

// The trials of a dataset and variant; of one of its test folds where it has some.
struct VariantSearch {
  std::string dataset;
  std::string variant;
  std::optional<int> test_fold;
  std::vector<Trial> trials;
};

struct SearchPlan {
  int halvings = 0;
  std::vector<VariantSearch> searches;
  // Variant of the plan -> the one whose search its options come from.
  std::map<std::string, std::string> searched_as;
};

// Plans the search of `plan`, which has one; `runs` are RunsOf() the plan, and `version` and `sets`
// what they were made with. InvalidArgument: for some run a path leads nowhere, an end of an
// interval or a choice is not allowed there, --set gives what is drawn, nothing is drawn, or the
// trials would look at a test split. NotFound: a file that cannot be read.
absl::StatusOr<SearchPlan> PlanSearch(const ExperimentPlan& plan,
                                      const std::vector<PlannedRun>& runs,
                                      const std::string& version,
                                      const std::vector<std::string>& sets);

// Puts the chosen options into `runs`. Those for which none could be chosen are left out and
// added to `failures`. NotFound: a file that cannot be read.
absl::Status ApplyChosen(const SearchPlan& search, const SearchResults& results,
                         const std::string& version, std::vector<PlannedRun>* runs,
                         std::vector<FailedRun>* failures);

// The runs of all trials, but for trials with the options of an earlier one.
std::vector<PlannedRun> RunsOfTrials(const SearchPlan& search);

// "training.learning_rate=0.001 backbone.dropout=0.4".
std::string OptionsText(const std::vector<DrawnOption>& options);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_SEARCH_H_
