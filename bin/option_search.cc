#include "bin/option_search.h"

#include <iostream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bin/version.h"
#include "core/status.h"
#include "experiment/run_files.h"
#include "experiment/runner.h"
#include "experiment/search_table.h"
#include "metrics/json.h"
#include "storage/atomic_file.h"

namespace cmerc {
namespace {

// "compared after epochs 1, 2, 4, 8", of one that has 8.
std::string RoundsOf(const PlannedRun& run, int halvings) {
  const int epochs = run.config.training().epochs();
  std::vector<int> rounds;
  for (int round = 0; round <= halvings; ++round) {
    rounds.push_back(RoundEpochs(epochs, halvings, round));
  }
  return absl::StrCat("compared after epochs ", absl::StrJoin(rounds, ", "));
}

// How far a run of a trial has got.
std::string ProgressOf(PlannedRun run, int halvings, const std::string& output) {
  if (WhyFailed(run, output).has_value()) return "failed";
  for (int round = halvings; round >= 0; --round) {
    run.stop_after = RoundEpochs(run.config.training().epochs(), halvings, round);
    if (StateOf(run, output) == RunState::kFinished) {
      return absl::StrCat("trained for ", *run.stop_after, " epochs");
    }
  }
  return StateOf(run, output) == RunState::kInterrupted ? "begun, goes on" : "to do";
}

}  // namespace

void PrintTrials(const SearchPlan& search, const std::string& output) {
  size_t runs = 0;
  for (const VariantSearch& one : search.searches) {
    for (const Trial& trial : one.trials) {
      for (const PlannedRun& run : trial.runs) {
        std::cout << run.path() << ": " << OptionsText(trial.options) << ": "
                  << (trial.same_as.has_value()
                          ? absl::StrCat("the options of trial ", *trial.same_as, ", not trained")
                          : absl::StrCat(RoundsOf(run, search.halvings), ", ",
                                         ProgressOf(run, search.halvings, output)))
                  << "\n";
        runs += trial.same_as.has_value() ? 0 : 1;
      }
    }
  }
  std::cout << runs << " runs of trials; with the options of the best of them:\n";
}

std::vector<PlannedRun> TrialsToAgreeOn(const SearchPlan& search) {
  std::vector<PlannedRun> runs = RunsOfTrials(search);
  const std::string of_all =
      absl::StrCat("# one of ", runs.size(), ", halvings: ", search.halvings, "\n");
  for (PlannedRun& run : runs) run.identity += of_all;
  return runs;
}

absl::Status SearchOptions(const SearchPlan& search, const std::string& output,
                           const RunsDoer& do_runs, std::vector<PlannedRun>* runs,
                           std::vector<FailedRun>* failures) {
  ASSIGN_OR_RETURN(const SearchResults results, DoSearch(search, output, do_runs));
  const std::vector<std::string> texts = {FormatSearch(results), ToJson(results, /*pretty=*/true)};
  for (size_t i = 0; i < texts.size(); ++i) {
    RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(output, "/", kSearchFiles[i]), texts[i]));
  }
  std::cout << "\nChosen by the search (all trials: " << output << "/" << kSearchFiles[0]
            << "):\n\n"
            << FormatChosen(results) << "\n"
            << std::flush;
  return ApplyChosen(search, results, kVersion, runs, failures);
}

}  // namespace cmerc
