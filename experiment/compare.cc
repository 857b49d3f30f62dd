#include "experiment/compare.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "experiment/evidence.h"
#include "experiment/labels.h"
#include "experiment/over_conversations.h"
#include "experiment/statistics.h"
#include "metrics/calibration.h"
#include "metrics/evidence_measures.h"

namespace cmerc {
namespace {

// Why the test scores of two systems mean different things, so that their difference means nothing;
// "" where they do not.
std::string Incomparable(const Scores& scores, const Scores& baseline) {
  const std::string protocol = ShortProtocol(scores[0]->summary.protocol());
  const SplitReport& test = scores[0]->summary.test();
  for (const Scores* one : {&scores, &baseline}) {
    for (const FinishedRun* run : *one) {
      const std::string other = ShortProtocol(run->summary.protocol());
      if (other != protocol) {
        return absl::StrCat("one was scored under ", protocol, ", the other under ", other);
      }
      if (!SameClasses(test, run->summary.test())) return "their classes differ";
    }
  }
  return "";
}

// What one run left of the test split.
struct TestOutcome {
  const RunSummary* summary;
  const SplitReport* report;  // its test split
  const TestPredictions* predictions;
  const TestViews* views;
};

// Two runs with the same seed.
struct Pair {
  TestOutcome ours;
  TestOutcome theirs;
};

absl::StatusOr<TestOutcome> OutcomeOf(const FinishedRun& run, TestFiles* files) {
  TestOutcome outcome{&run.summary, &run.summary.test(), nullptr, nullptr};
  ASSIGN_OR_RETURN(outcome.predictions, files->Predictions(run));
  ASSIGN_OR_RETURN(outcome.views, files->Views(run));
  return outcome;
}

// Runs of the seeds that both systems have.
absl::StatusOr<std::vector<Pair>> PairsOf(const Scores& scores, const Scores& baseline,
                                          TestFiles* files) {
  std::vector<Pair> pairs;
  for (const FinishedRun* ours : scores) {
    for (const FinishedRun* theirs : baseline) {
      if (ours->seed != theirs->seed) continue;
      Pair pair{};
      ASSIGN_OR_RETURN(pair.ours, OutcomeOf(*ours, files));
      ASSIGN_OR_RETURN(pair.theirs, OutcomeOf(*theirs, files));
      pairs.push_back(pair);
    }
  }
  return pairs;
}

// Whether holds(outcome) for every run of the pairs.
template <typename Holds>
bool Every(const std::vector<Pair>& pairs, const Holds& holds) {
  return std::all_of(pairs.begin(), pairs.end(),
                     [&](const Pair& pair) { return holds(pair.ours) && holds(pair.theirs); });
}

bool HavePredictions(const std::vector<Pair>& pairs) {
  return Every(pairs, [](const TestOutcome& one) { return !one.predictions->labels.empty(); });
}

bool AreOfTheSameUtterances(const std::vector<Pair>& pairs) {
  const TestPredictions& first = *pairs[0].ours.predictions;
  return Every(pairs, [&](const TestOutcome& one) {
    return one.predictions->ids == first.ids && one.predictions->lengths == first.lengths &&
           one.predictions->labels == first.labels;
  });
}

// Whether every run has a test_views.jsonl of the utterances that it predicted.
bool HaveViews(const std::vector<Pair>& pairs) {
  return Every(pairs, [](const TestOutcome& one) {
    return one.views->ids == one.predictions->ids && one.views->lengths == one.predictions->lengths;
  });
}

// A measure of calibration that systems are compared by.
struct Measure {
  std::string name;
  // Of one run; unset where it does not have it.
  std::function<std::optional<double>(const SplitReport&)> value;
  // Whether what a run left has what `sums` needs.
  std::function<bool(const TestOutcome&)> has_sums;
  // What each conversation of a run contributes, and what the measure makes of it.
  std::function<std::vector<double>(const TestOutcome&)> sums;
  SumMeasure of_sums;
};

// Calls add(conversation, utterance) for every utterance.
template <typename Add>
void ForEach(const std::vector<int64_t>& lengths, const Add& add) {
  size_t utterance = 0;
  for (size_t k = 0; k < lengths.size(); ++k) {
    for (int64_t i = 0; i < lengths[k]; ++i, ++utterance) add(k, utterance);
  }
}

double Mean(absl::Span<const double> sums, double utterances) { return sums[0] / utterances; }

// The sums are, for each bin, how many are right minus the confidences.
Measure EceMeasure() {
  return {"ece",
          [](const SplitReport& test) {
            return test.has_calibration() ? std::optional<double>(test.calibration().ece())
                                          : std::nullopt;
          },
          [](const TestOutcome&) { return true; },
          [](const TestOutcome& run) {
            const TestPredictions& predictions = *run.predictions;
            std::vector<double> sums(predictions.lengths.size() * kReliabilityBins);
            ForEach(predictions.lengths, [&](size_t k, size_t i) {
              const double confidence = predictions.confidences[i];
              const auto bin = static_cast<size_t>(ReliabilityBinOf(confidence));
              const double right = predictions.predicted[i] == predictions.labels[i] ? 1 : 0;
              sums[k * kReliabilityBins + bin] += right - confidence;
            });
            return sums;
          },
          [](absl::Span<const double> sums, double utterances) {
            double gaps = 0;
            for (const double gap : sums) gaps += std::abs(gap);
            return gaps / utterances;
          }};
}

Measure NllMeasure() {
  return {"nll",
          [](const SplitReport& test) {
            return test.has_calibration() ? std::optional<double>(test.calibration().nll())
                                          : std::nullopt;
          },
          [](const TestOutcome&) { return true; },
          [](const TestOutcome& run) {
            std::vector<double> sums(run.predictions->lengths.size());
            ForEach(run.predictions->lengths,
                    [&](size_t k, size_t i) { sums[k] -= run.predictions->true_log_probs[i]; });
            return sums;
          },
          Mean};
}

Measure ShareMeasure(const std::string& view) {
  return {absl::StrCat("share_surer_without_", view),
          [view](const SplitReport& test) -> std::optional<double> {
            for (const ViewReport& one : test.views()) {
              if (one.view() == view) return one.share_surer_without();
            }
            return std::nullopt;
          },
          [view](const TestOutcome& run) { return run.views->without.count(view) > 0; },
          [view](const TestOutcome& run) {
            const std::vector<double>& without = run.views->without.at(view);
            std::vector<double> sums(run.views->lengths.size());
            ForEach(run.views->lengths, [&](size_t k, size_t i) {
              sums[k] += without[i] > run.views->log_probs[i] ? 1 : 0;
            });
            return sums;
          },
          Mean};
}

bool HasAll(const TestViews::ByView& numbers, const std::vector<std::string>& views) {
  return std::all_of(views.begin(), views.end(),
                     [&](const std::string& view) { return numbers.count(view) > 0; });
}

// The share surer without a source of evidence among utterances that are predicted right, of all
// views together. The sums of a view are how many are surer; the last one is how many are right.
Measure RightMeasure(const std::vector<std::string>& views) {
  return {"share_of_right",
          [](const SplitReport& test) { return MeanOverViews(test, "share_of_right"); },
          [views](const TestOutcome& run) { return HasAll(run.views->without, views); },
          [views](const TestOutcome& run) {
            const size_t width = views.size() + 1;
            std::vector<double> sums(run.views->lengths.size() * width);
            const TestPredictions& predictions = *run.predictions;
            ForEach(run.views->lengths, [&](size_t k, size_t i) {
              if (predictions.predicted[i] != predictions.labels[i]) return;
              sums[k * width + width - 1] += 1;
              for (size_t v = 0; v < views.size(); ++v) {
                const double without = run.views->without.at(views[v])[i];
                sums[k * width + v] += without > run.views->log_probs[i] ? 1 : 0;
              }
            });
            return sums;
          },
          [](absl::Span<const double> sums, double) {
            double surer = 0;
            for (size_t v = 0; v + 1 < sums.size(); ++v) surer += sums[v];
            // A resample may draw nothing that is right.
            if (sums.back() == 0) return 0.0;
            return surer / (sums.back() * static_cast<double>(sums.size() - 1));
          }};
}

// VRR, the share of utterances whose largest probability rises without a source of evidence, of all
// views together. The sum is for how many it rises, view by view.
Measure VrrMeasure(const std::vector<std::string>& views) {
  return {"violating_ranking_rate",
          [](const SplitReport& test) { return MeanOverViews(test, "violating_ranking_rate"); },
          [views](const TestOutcome& run) { return HasAll(run.views->largest_without, views); },
          [views](const TestOutcome& run) {
            std::vector<double> sums(run.views->lengths.size());
            for (const std::string& view : views) {
              const std::vector<double>& without = run.views->largest_without.at(view);
              ForEach(run.views->lengths, [&](size_t k, size_t i) {
                sums[k] += without[i] > run.views->largest[i] ? 1 : 0;
              });
            }
            return sums;
          },
          [count = static_cast<double>(views.size())](absl::Span<const double> sums,
                                                      double utterances) {
            return sums[0] / (utterances * count);
          }};
}

// Adds how the systems compare by `measure`, unless a run does not have it; over conversations too
// where `of_conversations` holds and the runs have what that needs.
void AddMeasure(const Measure& measure, const std::vector<Pair>& pairs, bool of_conversations,
                Comparison* comparison) {
  std::vector<double> differences;
  for (const Pair& pair : pairs) {
    const std::optional<double> ours = measure.value(*pair.ours.report);
    const std::optional<double> theirs = measure.value(*pair.theirs.report);
    if (!ours.has_value() || !theirs.has_value()) return;
    differences.push_back(*ours - *theirs);
  }
  MeasureComparison* added = comparison->add_measures();
  added->set_measure(measure.name);
  *added->mutable_difference() = Describe(differences);
  added->set_p_value(RandomizationTest(differences));
  if (!of_conversations || !Every(pairs, measure.has_sums)) return;
  std::vector<PairedSums> sums;
  sums.reserve(pairs.size());
  for (const Pair& pair : pairs) {
    sums.push_back({measure.sums(pair.ours), measure.sums(pair.theirs)});
  }
  *added->mutable_over_conversations() =
      CompareSumsOverConversations(pairs[0].ours.predictions->lengths, sums, measure.of_sums);
}

// Adds how the systems compare by weighted F1.
void AddWeightedF1(const std::vector<Pair>& pairs, bool of_conversations, Comparison* comparison) {
  std::vector<double> differences;
  std::vector<PairedPredictions> predicted;
  for (const auto& [ours, theirs] : pairs) {
    differences.push_back(ours.report->weighted_f1() - theirs.report->weighted_f1());
    predicted.push_back({ours.predictions->predicted, theirs.predictions->predicted});
  }
  *comparison->mutable_difference() = Describe(differences);
  comparison->set_p_value(RandomizationTest(differences));
  if (!of_conversations) return;
  const TestPredictions& first = *pairs[0].ours.predictions;
  *comparison->mutable_over_conversations() =
      CompareOverConversations(first.labels, first.lengths, predicted);
}

// Corrects the p-values of one family.
template <typename Test>
void Correct(const std::vector<Test*>& family) {
  std::vector<double> p_values;
  p_values.reserve(family.size());
  for (const Test* test : family) p_values.push_back(test->p_value());
  const std::vector<double> corrected = HolmCorrected(p_values);
  for (size_t i = 0; i < family.size(); ++i) family[i]->set_p_value_holm(corrected[i]);
}

// The folders that have what a run left.
std::vector<std::string> FoldersOf(const FinishedRun& run) {
  return run.fold_folders.empty() ? std::vector<std::string>{run.folder} : run.fold_folders;
}

}  // namespace

absl::StatusOr<const TestPredictions*> TestFiles::Predictions(const FinishedRun& run) {
  const auto known = predictions_.find(run.folder);
  if (known != predictions_.end()) return &known->second;
  std::vector<std::string> class_names;
  for (const ClassReport& one : run.summary.test().classes()) class_names.push_back(one.name());
  TestPredictions all;
  for (const std::string& folder : FoldersOf(run)) {
    ASSIGN_OR_RETURN(const TestPredictions read,
                     ReadTestPredictions(folder + "/test_predictions.jsonl", class_names));
    Append(read, &all);
  }
  return &predictions_.emplace(run.folder, std::move(all)).first->second;
}

absl::StatusOr<const TestViews*> TestFiles::Views(const FinishedRun& run) {
  const auto known = views_.find(run.folder);
  if (known != views_.end()) return &known->second;
  TestViews all;
  for (const std::string& folder : FoldersOf(run)) {
    ASSIGN_OR_RETURN(const TestViews read, ReadTestViews(folder + "/test_views.jsonl"));
    Append(read, &all);
  }
  return &views_.emplace(run.folder, std::move(all)).first->second;
}

absl::Status Compare(const Scores& scores, const Scores& baseline, const std::string& name,
                     TestFiles* files, ExperimentRow* row, std::vector<std::string>* remarks) {
  const std::string shown = ShownVariant(name);
  const std::string why = Incomparable(scores, baseline);
  if (!why.empty()) {
    remarks->push_back(absl::StrCat("not compared with ", shown, ": ", why));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::vector<Pair> pairs, PairsOf(scores, baseline, files));
  if (pairs.empty()) return absl::OkStatus();
  const bool there = HavePredictions(pairs);
  const bool same = there && AreOfTheSameUtterances(pairs);
  const bool with_views = same && HaveViews(pairs);
  if (!same) {
    remarks->push_back(absl::StrCat("compared with ", shown, " over seeds alone: ",
                                    there ? "their test splits are not the same utterances"
                                          : "a run has no test_predictions.jsonl"));
  } else if (!with_views && row->views_size() > 0) {
    remarks->push_back(absl::StrCat("shares surer without a source of evidence compared with ",
                                    shown, " over seeds alone: a run has no test_views.jsonl"));
  }
  Comparison* comparison = row->mutable_comparison();
  comparison->set_baseline(name);
  comparison->set_seeds(static_cast<int>(pairs.size()));
  AddWeightedF1(pairs, same, comparison);
  AddMeasure(EceMeasure(), pairs, same, comparison);
  AddMeasure(NllMeasure(), pairs, same, comparison);
  std::vector<std::string> views;
  for (const ViewReport& view : pairs[0].ours.report->views()) {
    views.push_back(view.view());
    AddMeasure(ShareMeasure(view.view()), pairs, with_views, comparison);
  }
  AddMeasure(RightMeasure(views), pairs, with_views, comparison);
  AddMeasure(VrrMeasure(views), pairs, with_views, comparison);
  std::vector<std::pair<const RunSummary*, const RunSummary*>> summaries;
  for (const Pair& pair : pairs) summaries.emplace_back(pair.ours.summary, pair.theirs.summary);
  const std::optional<ScaledBaseline> scaled = ScaleBaseline(summaries);
  if (scaled.has_value()) *row->mutable_scaled_baseline() = *scaled;
  return absl::OkStatus();
}

void CorrectPValues(ExperimentResults* results) {
  std::vector<Comparison*> f1_over_seeds;
  std::vector<MeasureComparison*> measures_over_seeds;
  std::vector<ConversationComparison*> f1_over_conversations, measures_over_conversations;
  for (ExperimentRow& row : *results->mutable_rows()) {
    if (!row.has_comparison()) continue;
    Comparison* comparison = row.mutable_comparison();
    f1_over_seeds.push_back(comparison);
    if (comparison->has_over_conversations()) {
      f1_over_conversations.push_back(comparison->mutable_over_conversations());
    }
    for (MeasureComparison& measure : *comparison->mutable_measures()) {
      measures_over_seeds.push_back(&measure);
      if (!measure.has_over_conversations()) continue;
      measures_over_conversations.push_back(measure.mutable_over_conversations());
    }
  }
  Correct(f1_over_seeds);
  Correct(f1_over_conversations);
  Correct(measures_over_seeds);
  Correct(measures_over_conversations);
}

}  // namespace cmerc
