#include "experiment/search_table.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/printable.h"
#include "experiment/labels.h"
#include "experiment/search.h"

namespace cmerc {
namespace {

std::string Row(const std::vector<std::string>& cells) {
  return absl::StrCat("| ", absl::StrJoin(cells, " | "), " |\n");
}

std::string Header(const std::vector<std::string>& cells) {
  return Row(cells) + Row(std::vector<std::string>(cells.size(), "---"));
}

// In percent, but for an NLL.
std::string Score(const SearchedVariant& search, double score) {
  return search.compared_by() == "NLL" ? absl::StrFormat("%.4f", score)
                                       : absl::StrFormat("%.2f", 100 * score);
}

// "iemocap", "gru", and the part that is tested on, where there is one.
std::vector<std::string> Place(const SearchedVariant& search) {
  return {search.dataset().empty() ? "-" : search.dataset(), ShownVariant(search.variant()),
          search.has_test_fold() ? absl::StrCat(search.test_fold().value()) : "-"};
}

const SearchedTrial* Chosen(const SearchedVariant& search) {
  const auto found =
      std::find_if(search.trials().begin(), search.trials().end(), [&](const SearchedTrial& trial) {
        return search.has_chosen() && trial.trial() == search.chosen().value();
      });
  return found == search.trials().end() ? nullptr : &*found;
}

int Rounds(const SearchedVariant& search) {
  int rounds = 0;
  for (const SearchedTrial& trial : search.trials()) {
    rounds = std::max(rounds, trial.scores_size());
  }
  return rounds;
}

// "epoch 4", or "round 1" where it came after different epochs.
std::string RoundName(const SearchedVariant& search, int round) {
  int epochs = 0;
  for (const SearchedTrial& trial : search.trials()) {
    if (round >= trial.scores_size()) continue;
    const int of_trial = trial.scores(round).epochs();
    if (epochs > 0 && of_trial != epochs) return absl::StrCat("round ", round + 1);
    epochs = of_trial;
  }
  return absl::StrCat("epoch ", epochs);
}

// What became of a trial.
std::string Fate(const SearchedVariant& search, const SearchedTrial& trial) {
  if (trial.has_same_as()) {
    return absl::StrCat("not trained: the options of trial ", trial.same_as().value());
  }
  if (trial.has_failed()) return absl::StrCat("failed: ", OneLine(trial.failed().value()));
  std::string fate = search.has_chosen() && trial.trial() == search.chosen().value() ? "chosen"
                     : trial.has_dropped_after()
                         ? absl::StrCat("dropped after epoch ", trial.dropped_after().value())
                         : "";
  if (trial.has_tied_with()) {
    absl::StrAppend(&fate, fate.empty() ? "" : ", ", "the score of trial ",
                    trial.tied_with().value(), ", whose number is lower");
  }
  return fate;
}

std::string TrialTable(const SearchedVariant& search) {
  std::vector<std::string> cells = {"trial"};
  for (const DrawnOption& option : search.trials(0).options()) cells.push_back(option.path());
  const int rounds = Rounds(search);
  for (int round = 0; round < rounds; ++round) cells.push_back(RoundName(search, round));
  cells.emplace_back("what became of it");
  std::string text = Header(cells);
  for (const SearchedTrial& trial : search.trials()) {
    cells = {absl::StrCat(trial.trial())};
    for (const DrawnOption& option : trial.options()) {
      cells.push_back(MarkdownCell(option.value()));
    }
    for (int round = 0; round < rounds; ++round) {
      cells.push_back(round < trial.scores_size() ? Score(search, trial.scores(round).score())
                                                  : "-");
    }
    cells.push_back(MarkdownCell(Fate(search, trial)));
    text += Row(cells);
  }
  return text;
}

}  // namespace

std::string FormatChosen(const SearchResults& results) {
  std::string text = Header({"dataset", "variant", "test fold", "trial", "options",
                             "score on validation", "compared by", "trials", "failed"});
  for (const SearchedVariant& search : results.searches()) {
    std::vector<std::string> cells = Place(search);
    const SearchedTrial* chosen = Chosen(search);
    const auto failed = std::count_if(search.trials().begin(), search.trials().end(),
                                      [](const SearchedTrial& one) { return one.has_failed(); });
    cells.push_back(chosen == nullptr ? "-" : absl::StrCat(chosen->trial()));
    cells.push_back(chosen == nullptr ? "none: all that were left have failed"
                                      : MarkdownCell(OptionsText(
                                            {chosen->options().begin(), chosen->options().end()})));
    cells.push_back(
        chosen == nullptr ? "-" : Score(search, chosen->scores(chosen->scores_size() - 1).score()));
    cells.push_back(search.compared_by());
    cells.push_back(absl::StrCat(search.trials_size()));
    cells.push_back(absl::StrCat(failed));
    text += Row(cells);
  }
  return text;
}

std::string FormatSearch(const SearchResults& results) {
  std::string text = absl::StrCat(
      FormatChosen(results),
      "\nScores are those of the best epoch so far on the validation split, mean over the training "
      "seeds; F1 and accuracy in percent. The test split was not looked at. A trial that was "
      "chosen "
      "for its score has, on the average, a lower one on other conversations.\n");
  for (const SearchedVariant& search : results.searches()) {
    const std::vector<std::string> place = Place(search);
    absl::StrAppend(&text, "\n## ", search.dataset().empty() ? "" : search.dataset() + ", ",
                    place[1], search.has_test_fold() ? absl::StrCat(", test fold ", place[2]) : "",
                    "\n\n", TrialTable(search));
  }
  return text;
}

}  // namespace cmerc
