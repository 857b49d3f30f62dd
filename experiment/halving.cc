#include "experiment/halving.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "config/run.pb.h"
#include "core/status.h"
#include "experiment/run_files.h"
#include "storage/run_folder.h"
#include "storage/selection_score.h"

namespace cmerc {
namespace {

// What a trial has come to in a round.
struct RoundResult {
  int trial;                    // its number
  int epochs;                   // after which it was compared
  std::optional<double> score;  // Standing::score
  std::string why;              // it has failed
};

// Unavailable: a run has neither failed nor got as far as it was to get.
absl::Status NotDone(const PlannedRun& run) {
  return absl::UnavailableError(
      absl::StrCat("search: ", run.path(),
                   " was left to another process, and trials can only be compared when "
                   "all of them are done; repeat the command when they are"));
}

// The search of one variant as it goes on.
class Tournament {
 public:
  Tournament(const VariantSearch& search, int halvings, const std::string& output)
      : search_(search), halvings_(halvings), output_(output) {
    for (const Trial& trial : search.trials) {
      SearchedTrial& found = trials_.emplace_back();
      found.set_trial(trial.number);
      for (const DrawnOption& option : trial.options) *found.add_options() = option;
      if (trial.same_as.has_value()) {
        found.mutable_same_as()->set_value(*trial.same_as);
      } else {
        left_.push_back(trial.number);
      }
    }
  }

  // Adds the runs that a round needs.
  void AddRuns(int round, std::vector<PlannedRun>* runs) const {
    // Where all have failed the cause may have been elsewhere, and be gone by now.
    if (std::all_of(left_.begin(), left_.end(),
                    [&](int number) { return HasFailed(number, round); })) {
      ForgetFailures();
    }
    for (const int number : left_) {
      for (const PlannedRun& run : RunsOf(number, round)) {
        if (!HasFailed(run)) runs->push_back(run);
      }
    }
  }

  // How each trial that is left stands after the runs of a round, by their files alone, so that
  // every process finds the same. Unavailable: a run has neither failed nor got as far as it was
  // to.
  absl::StatusOr<std::vector<RoundResult>> ResultsOf(int round) const {
    std::vector<RoundResult> results;
    for (const int number : left_) {
      ASSIGN_OR_RETURN(RoundResult result, ResultOf(number, round));
      results.push_back(std::move(result));
    }
    return results;
  }

  // Compares the trials that are left.
  void Compare(int round, const std::vector<RoundResult>& results) {
    std::vector<Standing> scores;
    for (const RoundResult& result : results) {
      Add(result);
      scores.push_back({result.trial, result.score});
    }
    const std::vector<Standing> ranked = Ranked(std::move(scores));
    const bool is_last = round == halvings_;
    const size_t go_on = is_last ? std::min<size_t>(1, GoOn(ranked)) : GoOn(ranked);
    left_.clear();
    for (size_t i = 0; i < ranked.size(); ++i) {
      if (i < go_on) left_.push_back(ranked[i].trial);
      if (i >= go_on) Drop(ranked[i], go_on > 0 ? &ranked[go_on - 1] : nullptr, is_last);
    }
    if (is_last && go_on > 0) RemoveWeightsOfAll();
  }

  SearchedVariant Result() const {
    SearchedVariant result;
    result.set_dataset(search_.dataset);
    result.set_variant(search_.variant);
    if (search_.test_fold.has_value()) result.mutable_test_fold()->set_value(*search_.test_fold);
    result.set_compared_by(SelectionName(SelectedBy()));
    if (!left_.empty()) result.mutable_chosen()->set_value(left_.front());
    std::vector<SearchedTrial> trials = trials_;
    const bool lower = SelectedBy() == TrainingConfig::NLL;
    const auto order = [&](const SearchedTrial& trial) {
      const int rounds = trial.scores_size();
      const double score = rounds > 0 ? trial.scores(rounds - 1).score() : 0;
      return std::make_tuple(trial.has_same_as(), trial.has_failed(), -rounds,
                             lower ? score : -score, trial.trial());
    };
    std::sort(trials.begin(), trials.end(),
              [&](const auto& one, const auto& other) { return order(one) < order(other); });
    for (SearchedTrial& trial : trials) *result.add_trials() = std::move(trial);
    return result;
  }

 private:
  const Trial& TrialOf(int number) const { return search_.trials[static_cast<size_t>(number - 1)]; }
  SearchedTrial& Found(int number) { return trials_[static_cast<size_t>(number - 1)]; }
  TrainingConfig::SelectBy SelectedBy() const {
    return search_.trials.front().runs.front().config.training().select_by();
  }

  // The runs of a trial as they are to be done for a round.
  std::vector<PlannedRun> RunsOf(int number, int round) const {
    std::vector<PlannedRun> runs = TrialOf(number).runs;
    for (PlannedRun& run : runs) {
      run.stop_after = RoundEpochs(run.config.training().epochs(), halvings_, round);
    }
    return runs;
  }

  // Whether it has, before it got as far as it is to get.
  bool HasFailed(const PlannedRun& run) const {
    return WhyFailed(run, output_).has_value() && !IsFinished(RunFolder(output_, run), run);
  }
  bool HasFailed(int number, int round) const {
    const std::vector<PlannedRun> runs = RunsOf(number, round);
    return std::any_of(runs.begin(), runs.end(),
                       [&](const PlannedRun& run) { return HasFailed(run); });
  }

  void ForgetFailures() const {
    for (const int number : left_) {
      for (const PlannedRun& run : TrialOf(number).runs) ForgetFailure(run, output_);
    }
  }

  absl::StatusOr<RoundResult> ResultOf(int number, int round) const {
    RoundResult result{number, 0, std::nullopt, ""};
    double sum = 0;
    for (const PlannedRun& run : RunsOf(number, round)) {
      result.epochs = *run.stop_after;
      const std::string folder = RunFolder(output_, run);
      const absl::StatusOr<double> score = ValidationScore(folder, *run.stop_after, SelectedBy());
      // After the score was read: a process that begins the run anew first says that it is not
      // finished.
      if (!IsFinished(folder, run)) {
        const std::optional<std::string> why = WhyFailed(run, output_);
        if (!why.has_value()) return NotDone(run);
        result.why = *why;
      } else if (!score.ok()) {
        result.why = std::string(score.status().message());
      } else if (!std::isfinite(*score)) {
        result.why = "its score is not finite";
      }
      if (!result.why.empty()) return result;
      sum += *score;
    }
    result.score = sum / static_cast<double>(TrialOf(number).runs.size());
    return result;
  }

  // Adds to what is found of a trial.
  void Add(const RoundResult& result) {
    SearchedTrial& found = Found(result.trial);
    if (!result.score.has_value()) {
      found.mutable_failed()->set_value(result.why);
      return;
    }
    RoundScore* scored = found.add_scores();
    scored->set_epochs(result.epochs);
    scored->set_score(SelectedBy() == TrainingConfig::NLL ? -*result.score : *result.score);
  }

  // A trial does not go on; `last` is the last one that does.
  void Drop(const Standing& dropped, const Standing* last, bool is_last_round) {
    SearchedTrial& found = Found(dropped.trial);
    if (dropped.score.has_value() && last != nullptr && dropped.score == last->score) {
      found.mutable_tied_with()->set_value(last->trial);
    }
    if (is_last_round || !dropped.score.has_value()) return;
    found.mutable_dropped_after()->set_value(found.scores(found.scores_size() - 1).epochs());
    RemoveWeights(dropped.trial);
  }

  void RemoveWeights(int number) const {
    for (const PlannedRun& run : TrialOf(number).runs) {
      const std::string folder = RunFolder(output_, run);
      for (const std::string& file :
           {ResumeFile(folder), folder + "/selected.pth", folder + "/last.pth"}) {
        unlink(file.c_str());
      }
    }
  }

  void RemoveWeightsOfAll() const {
    for (const Trial& trial : search_.trials) RemoveWeights(trial.number);
  }

  const VariantSearch& search_;
  const int halvings_;
  const std::string& output_;
  std::vector<SearchedTrial> trials_;  // trial 1 first
  std::vector<int> left_;              // the numbers of those that go on
};

// Tournament::ResultsOf() each.
absl::StatusOr<std::vector<std::vector<RoundResult>>> ResultsOf(
    const std::vector<Tournament>& tournaments, int round) {
  std::vector<std::vector<RoundResult>> results;
  for (const Tournament& tournament : tournaments) {
    ASSIGN_OR_RETURN(std::vector<RoundResult> of_one, tournament.ResultsOf(round));
    results.push_back(std::move(of_one));
  }
  return results;
}

// Does the runs of a round until all have ended, and compares what they have come to.
absl::Status DoRound(int round, int halvings, const RunsDoer& do_runs,
                     std::vector<Tournament>& tournaments) {
  std::vector<PlannedRun> runs;
  for (Tournament& tournament : tournaments) tournament.AddRuns(round, &runs);
  const int parts = 1 << (halvings - round);
  std::cout << "search, round " << round + 1 << " of " << halvings + 1 << ": " << runs.size()
            << " runs up to " << (parts == 1 ? "the end" : absl::StrCat("1/", parts))
            << " of their epochs\n"
            << std::flush;
  for (size_t attempt = 0;; ++attempt) {
    RETURN_IF_ERROR(do_runs(runs));
    absl::StatusOr<std::vector<std::vector<RoundResult>>> results = ResultsOf(tournaments, round);
    if (results.ok()) {
      for (size_t i = 0; i < tournaments.size(); ++i) tournaments[i].Compare(round, (*results)[i]);
      return absl::OkStatus();
    }
    // A process that is ahead may have begun one of them anew, whose weights are gone: then it is
    // waited for. No run is begun anew twice.
    if (attempt >= runs.size()) return results.status();
  }
}

}  // namespace

int RoundEpochs(int epochs, int halvings, int round) {
  const int parts = 1 << (halvings - round);
  return epochs / parts + (epochs % parts > 0 ? 1 : 0);
}

std::vector<Standing> Ranked(std::vector<Standing> scores) {
  std::sort(scores.begin(), scores.end(), [](const Standing& one, const Standing& other) {
    if (one.score.has_value() != other.score.has_value()) return one.score.has_value();
    if (one.score != other.score) return *one.score > *other.score;
    return one.trial < other.trial;
  });
  return scores;
}

size_t GoOn(const std::vector<Standing>& ranked) {
  const auto failed = std::find_if(ranked.begin(), ranked.end(),
                                   [](const Standing& one) { return !one.score.has_value(); });
  return std::min((ranked.size() + 1) / 2, static_cast<size_t>(failed - ranked.begin()));
}

absl::StatusOr<SearchResults> DoSearch(const SearchPlan& plan, const std::string& output,
                                       const RunsDoer& do_runs) {
  std::vector<Tournament> tournaments;
  for (const VariantSearch& search : plan.searches) {
    tournaments.emplace_back(search, plan.halvings, output);
  }
  for (int round = 0; round <= plan.halvings; ++round) {
    RETURN_IF_ERROR(DoRound(round, plan.halvings, do_runs, tournaments));
  }
  SearchResults results;
  for (const Tournament& tournament : tournaments) *results.add_searches() = tournament.Result();
  return results;
}

}  // namespace cmerc
