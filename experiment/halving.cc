#include "experiment/halving.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <tuple>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "config/run.pb.h"
#include "core/status.h"
#include "experiment/run_files.h"
#include "storage/atomic_file.h"
#include "storage/run_folder.h"
#include "storage/selection_score.h"

namespace cmerc {
namespace {

std::string FailedFile(const std::string& folder) { return folder + "/failed.txt"; }

// The run of a trial as it is to be done for a round.
PlannedRun ForRound(PlannedRun run, int halvings, int round) {
  run.stop_after = RoundEpochs(run.config.training().epochs(), halvings, round);
  return run;
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
    for (const int number : left_) {
      if (Failure(number).has_value()) continue;
      for (const PlannedRun& run : TrialOf(number).runs) {
        runs->push_back(ForRound(run, halvings_, round));
      }
    }
  }

  // Compares the trials that are left after the runs of a round; `failures` has why some failed, by
  // path. Errors of WriteFileAtomically().
  absl::Status Compare(int round, const std::map<std::string, std::string>& failures) {
    std::vector<Standing> scores;
    std::map<std::string, std::string> failed;  // folder of a run -> what its failed.txt says
    for (const int number : left_) scores.push_back(ScoreOf(number, round, failures, &failed));
    const std::vector<Standing> ranked = Ranked(std::move(scores));
    const bool is_last = round == halvings_;
    const size_t go_on = is_last ? std::min<size_t>(1, GoOn(ranked)) : GoOn(ranked);
    // Where all have failed the cause may be elsewhere, and be gone the next time.
    if (go_on > 0) {
      for (const auto& [folder, text] : failed) {
        RETURN_IF_ERROR(WriteFileAtomically(FailedFile(folder), text));
      }
    }
    left_.clear();
    for (size_t i = 0; i < ranked.size(); ++i) {
      if (i < go_on) left_.push_back(ranked[i].trial);
      if (i >= go_on) Drop(ranked[i], go_on > 0 ? &ranked[go_on - 1] : nullptr, is_last);
    }
    if (is_last && go_on > 0) RemoveWeightsOfAll();
    return absl::OkStatus();
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

  // Why the trial failed in an earlier round or call.
  std::optional<std::string> Failure(int number) const {
    for (const PlannedRun& run : TrialOf(number).runs) {
      std::optional<std::string> why = WhyFailed(run, output_);
      if (why.has_value()) return why;
    }
    return std::nullopt;
  }

  // The score of a trial after a round, which is added to what is found of it.
  Standing ScoreOf(int number, int round, const std::map<std::string, std::string>& failures,
                   std::map<std::string, std::string>* failed) {
    SearchedTrial& found = Found(number);
    std::optional<std::string> why = Failure(number);
    double sum = 0;
    int epochs = 0;
    for (const PlannedRun& planned : TrialOf(number).runs) {
      if (why.has_value()) break;
      const PlannedRun run = ForRound(planned, halvings_, round);
      const std::string folder = RunFolder(output_, run);
      epochs = *run.stop_after;
      const absl::StatusOr<double> score = ValidationScore(folder, epochs, SelectedBy());
      const auto failure = failures.find(run.path());
      if (failure != failures.end()) {
        why = failure->second;
      } else if (!score.ok()) {
        why = std::string(score.status().message());
      } else if (!std::isfinite(*score)) {
        why = "its score is not finite";
      }
      if (why.has_value()) (*failed)[folder] = absl::StrCat(run.identity, *why);
      if (score.ok()) sum += *score;
    }
    if (why.has_value()) {
      found.mutable_failed()->set_value(*why);
      return {number, std::nullopt};
    }
    const double mean = sum / static_cast<double>(TrialOf(number).runs.size());
    RoundScore* scored = found.add_scores();
    scored->set_epochs(epochs);
    scored->set_score(SelectedBy() == TrainingConfig::NLL ? -mean : mean);
    return {number, mean};
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

// Path of a run -> why it failed, of the lines "PATH: why" of DoRuns().
std::map<std::string, std::string> ByPath(const std::vector<std::string>& failures,
                                          const std::vector<PlannedRun>& runs) {
  std::map<std::string, std::string> by_path;
  for (const PlannedRun& run : runs) {
    for (absl::string_view failure : failures) {
      if (absl::ConsumePrefix(&failure, absl::StrCat(run.path(), ": "))) {
        by_path[run.path()] = std::string(failure);
      }
    }
  }
  return by_path;
}

// Unavailable: runs have neither failed nor got as far as they were to.
absl::Status CheckDone(const std::vector<PlannedRun>& runs,
                       const std::map<std::string, std::string>& failures,
                       const std::string& output) {
  for (const PlannedRun& run : runs) {
    if (failures.count(run.path()) > 0 || IsFinished(RunFolder(output, run), run)) continue;
    return absl::UnavailableError(
        absl::StrCat("search: ", run.path(),
                     " was left to another process, and trials can only be compared when "
                     "all of them are done; repeat the command when they are"));
  }
  return absl::OkStatus();
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

std::optional<std::string> WhyFailed(const PlannedRun& run, const std::string& output) {
  const std::string text = Contents(FailedFile(RunFolder(output, run)));
  absl::string_view why = text;
  if (run.identity.empty() || !absl::ConsumePrefix(&why, run.identity)) return std::nullopt;
  return std::string(why);
}

absl::StatusOr<SearchResults> DoSearch(const SearchPlan& plan, const std::string& output,
                                       const RunsDoer& do_runs) {
  std::vector<Tournament> tournaments;
  for (const VariantSearch& search : plan.searches) {
    tournaments.emplace_back(search, plan.halvings, output);
  }
  for (int round = 0; round <= plan.halvings; ++round) {
    std::vector<PlannedRun> runs;
    for (const Tournament& tournament : tournaments) tournament.AddRuns(round, &runs);
    const int parts = 1 << (plan.halvings - round);
    std::cout << "search, round " << round + 1 << " of " << plan.halvings + 1 << ": " << runs.size()
              << " runs up to " << (parts == 1 ? "the end" : absl::StrCat("1/", parts))
              << " of their epochs\n"
              << std::flush;
    ASSIGN_OR_RETURN(const std::vector<std::string> failures, do_runs(runs));
    const std::map<std::string, std::string> by_path = ByPath(failures, runs);
    RETURN_IF_ERROR(CheckDone(runs, by_path, output));
    for (Tournament& tournament : tournaments) RETURN_IF_ERROR(tournament.Compare(round, by_path));
  }
  SearchResults results;
  for (const Tournament& tournament : tournaments) *results.add_searches() = tournament.Result();
  return results;
}

}  // namespace cmerc
