#include "metrics/conformal.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "core/printable.h"
#include "core/status.h"

namespace cmerc {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Steps of a ScoreTable but for the last.
constexpr double kSteps = 1000;
// Sums of weights round; K / (K + 1) must still be K / (K + 1).
constexpr double kRounding = 1e-9;
// Names in one sentence.
constexpr size_t kMostNames = 10;
// Of a RiskCoverage: 0, 1/20, ..., 19/20.
constexpr int kThresholds = 20;

// Rounding may have left a log-probability a little above 0.
double Probability(double log_prob) { return std::min(1.0, std::exp(log_prob)); }

double LeastAmbiguousScore(absl::Span<const double> row, size_t c) {
  return 1 - Probability(row[c]);
}

// Adds up in the order of the classes, so that a row has the same scores here and there.
double AdaptiveScore(absl::Span<const double> row, size_t c) {
  double sum = 0;
  for (const double log_prob : row) sum += log_prob > row[c] ? Probability(log_prob) : 0;
  return sum;
}

// A score of the true class, and its share of the weight of all conversations.
struct WeightedScore {
  double score;
  double weight;
};

ScoreTable TableOf(std::vector<WeightedScore> scores, int64_t conversations) {
  std::sort(scores.begin(), scores.end(), [](const WeightedScore& a, const WeightedScore& b) {
    return a.score != b.score ? a.score < b.score : a.weight < b.weight;
  });
  ScoreTable table;
  table.set_conversations(static_cast<int>(conversations));
  table.set_utterances(static_cast<int>(scores.size()));
  double sum = 0, kept = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    sum += scores[i].weight / static_cast<double>(conversations);
    const bool last = i + 1 == scores.size();
    const bool same_follows = !last && scores[i + 1].score == scores[i].score;
    if (same_follows) continue;
    const double share = last ? 1 : std::min(sum, 1.0);
    if (!last && std::floor(share * kSteps) <= std::floor(kept * kSteps) &&
        static_cast<double>(scores.size()) > kSteps) {
      continue;
    }
    kept = share;
    table.add_scores(scores[i].score);
    table.add_shares(share);
  }
  return table;
}

absl::Status CheckTable(const std::string& name, const ScoreTable& table) {
  const auto wrong = [&](const std::string& why) {
    return absl::InvalidArgumentError(absl::StrCat("sets.", name, ": ", why));
  };
  if (table.scores_size() != table.shares_size()) {
    return wrong(absl::StrCat(table.scores_size(), " scores and ", table.shares_size(),
                              " shares, want as many"));
  }
  if (table.scores_size() > kSteps + 1) {
    return wrong(absl::StrCat(table.scores_size(), " scores, want at most ", kSteps + 1));
  }
  if (table.conversations() < 0 || (table.conversations() == 0) != (table.scores_size() == 0)) {
    return wrong(
        absl::StrCat(table.scores_size(), " scores of ", table.conversations(), " conversations"));
  }
  for (int i = 0; i < table.scores_size(); ++i) {
    const double score_before = i == 0 ? -kInfinity : table.scores(i - 1);
    const double share_before = i == 0 ? 0 : table.shares(i - 1);
    // NaN fails each of these.
    if (std::isfinite(table.scores(i)) && table.scores(i) > score_before &&
        table.shares(i) >= share_before && table.shares(i) <= 1) {
      continue;
    }
    return wrong(absl::StrCat("scores[", i, "] = ", table.scores(i), ", shares[", i,
                              "] = ", table.shares(i),
                              ", want finite scores in ascending order, with shares up to 1"));
  }
  return absl::OkStatus();
}

// The smallest score at or below which lies at least `coverage` of the weight, that of infinity
// included.
double Threshold(const ScoreTable& table, double coverage) {
  const auto conversations = static_cast<double>(table.conversations());
  for (int i = 0; i < table.scores_size(); ++i) {
    const double weight = table.shares(i) * conversations / (conversations + 1);
    if (weight >= coverage - kRounding) return table.scores(i);
  }
  return kInfinity;
}

// Calls add(conversation, row, label) for every labelled utterance.
template <typename Add>
void ForEachLabelled(const LabelledPredictions& predictions, size_t num_classes, const Add& add) {
  size_t utterance = 0;
  for (size_t k = 0; k < predictions.lengths.size(); ++k) {
    for (int64_t i = 0; i < predictions.lengths[k]; ++i, ++utterance) {
      const int64_t label = predictions.labels[utterance];
      if (label < 0) continue;
      add(k, predictions.log_probs.subspan(utterance * num_classes, num_classes),
          static_cast<size_t>(label));
    }
  }
}

absl::Status Check(const LabelledPredictions& predictions, int64_t num_classes) {
  const size_t labels = predictions.labels.size();
  int64_t sum = 0;
  bool negative = false;
  for (const int64_t length : predictions.lengths) {
    negative = negative || length < 0;
    sum += length;
  }
  if (num_classes < 1 || negative || sum != static_cast<int64_t>(labels) ||
      predictions.log_probs.size() != labels * static_cast<size_t>(num_classes)) {
    return absl::InvalidArgumentError(
        absl::StrCat("prediction sets: ", predictions.log_probs.size(), " log-probabilities and ",
                     labels, " labels of conversations of ", sum, " utterances, with ", num_classes,
                     " classes; want utterances x classes log-probabilities"));
  }
  for (size_t i = 0; i < labels; ++i) {
    if (predictions.labels[i] < num_classes) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("prediction sets: labels[", i, "] = ", predictions.labels[i],
                     ", want a class < ", num_classes, ", or below 0 for none"));
  }
  for (size_t i = 0; i < predictions.log_probs.size(); ++i) {
    if (!std::isnan(predictions.log_probs[i])) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("prediction sets: log_probs[", i, "] is not a number"));
  }
  return absl::OkStatus();
}

// The weighted scores of some utterances, conversation by conversation.
class Gathered {
 public:
  void Add(size_t conversation, double score) {
    if (scores_.empty() || conversation != conversation_) EndConversation();
    conversation_ = conversation;
    scores_.push_back({score, 0});
  }
  ScoreTable Finish() {
    EndConversation();
    return TableOf(std::move(scores_), conversations_);
  }

 private:
  // The utterances of the last conversation share a weight of 1.
  void EndConversation() {
    if (scores_.size() == begin_) return;
    const double weight = 1 / static_cast<double>(scores_.size() - begin_);
    for (size_t i = begin_; i < scores_.size(); ++i) scores_[i].weight = weight;
    begin_ = scores_.size();
    ++conversations_;
  }

  std::vector<WeightedScore> scores_;
  size_t begin_ = 0;  // of the last conversation
  size_t conversation_ = 0;
  int64_t conversations_ = 0;
};

// Shares of covered utterances of each conversation, and of all.
class Coverage {
 public:
  explicit Coverage(size_t conversations) : covered_(conversations), utterances_(conversations) {}

  void Add(size_t conversation, bool covered, size_t size) {
    covered_[conversation] += covered ? 1 : 0;
    ++utterances_[conversation];
    all_covered_ += covered ? 1 : 0;
    ++all_;
    sizes_ += static_cast<double>(size);
  }
  int64_t utterances() const { return all_; }
  int64_t conversations() const {
    return static_cast<int64_t>(utterances_.size()) -
           std::count(utterances_.begin(), utterances_.end(), 0);
  }
  double OfUtterances() const { return all_covered_ / static_cast<double>(all_); }
  double MeanSize() const { return sizes_ / static_cast<double>(all_); }
  double OfConversations() const {
    double sum = 0;
    for (size_t k = 0; k < utterances_.size(); ++k) sum += utterances_[k] > 0 ? Share(k) : 0;
    return sum / static_cast<double>(conversations());
  }
  // The standard error of OfConversations(), of which there are two or more.
  double Error() const {
    const double mean = OfConversations();
    const auto count = static_cast<double>(conversations());
    double squares = 0;
    for (size_t k = 0; k < utterances_.size(); ++k) {
      if (utterances_[k] > 0) squares += (Share(k) - mean) * (Share(k) - mean);
    }
    return std::sqrt(squares / (count - 1) / count);
  }

 private:
  double Share(size_t k) const { return covered_[k] / static_cast<double>(utterances_[k]); }

  std::vector<double> covered_;
  std::vector<int64_t> utterances_;
  double all_covered_ = 0, sizes_ = 0;
  int64_t all_ = 0;
};

// "12 conversations", "1 conversation".
std::string Conversations(int64_t count) {
  return absl::StrCat(count, count == 1 ? " conversation" : " conversations");
}

}  // namespace

const std::vector<std::string>& SetMethodNames() {
  static const auto* names = new std::vector<std::string>{"split", "class_conditional", "adaptive"};
  return *names;
}

const std::string& NameOf(SetMethod method) {
  return SetMethodNames()[static_cast<size_t>(method)];
}

absl::StatusOr<SetCalibration> CalibrateSets(const LabelledPredictions& predictions,
                                             int64_t num_classes) {
  RETURN_IF_ERROR(Check(predictions, num_classes));
  const auto classes = static_cast<size_t>(num_classes);
  Gathered split, adaptive;
  std::vector<Gathered> of_class(classes);
  ForEachLabelled(predictions, classes, [&](size_t k, absl::Span<const double> row, size_t label) {
    split.Add(k, LeastAmbiguousScore(row, label));
    of_class[label].Add(k, LeastAmbiguousScore(row, label));
    adaptive.Add(k, AdaptiveScore(row, label));
  });
  SetCalibration calibration;
  *calibration.mutable_split() = split.Finish();
  *calibration.mutable_adaptive() = adaptive.Finish();
  for (Gathered& one : of_class) *calibration.add_classes() = one.Finish();
  return calibration;
}

absl::Status CheckSetCalibration(const SetCalibration& calibration, int64_t num_classes) {
  if (calibration.classes_size() != num_classes) {
    return absl::InvalidArgumentError(absl::StrCat("sets.classes: ", calibration.classes_size(),
                                                   " tables, want ", num_classes,
                                                   ", one for each class"));
  }
  RETURN_IF_ERROR(CheckTable("split", calibration.split()));
  RETURN_IF_ERROR(CheckTable("adaptive", calibration.adaptive()));
  for (int c = 0; c < calibration.classes_size(); ++c) {
    RETURN_IF_ERROR(CheckTable(absl::StrCat("classes[", c, "]"), calibration.classes(c)));
  }
  return absl::OkStatus();
}

SetMaker::SetMaker(const SetCalibration& calibration, SetMethod method, double coverage)
    : method_(method), coverage_(coverage), conversations_(calibration.split().conversations()) {
  for (const ScoreTable& of_class : calibration.classes()) {
    const ScoreTable& table = method == SetMethod::kClassConditional ? of_class
                              : method == SetMethod::kAdaptive       ? calibration.adaptive()
                                                                     : calibration.split();
    conversations_of_.push_back(table.conversations());
    thresholds_.push_back(Threshold(table, coverage));
  }
}

std::vector<int64_t> SetMaker::SetOf(absl::Span<const double> log_probs) const {
  std::vector<int64_t> set;
  for (size_t c = 0; c < thresholds_.size(); ++c) {
    const double score = method_ == SetMethod::kAdaptive ? AdaptiveScore(log_probs, c)
                                                         : LeastAmbiguousScore(log_probs, c);
    if (score <= thresholds_[c]) set.push_back(static_cast<int64_t>(c));
  }
  std::stable_sort(set.begin(), set.end(), [&](int64_t a, int64_t b) {
    return log_probs[static_cast<size_t>(a)] > log_probs[static_cast<size_t>(b)];
  });
  return set;
}

std::vector<std::string> SetMaker::Remarks(absl::Span<const std::string> class_names) const {
  // 0.9 / (1 - 0.9) is a little above 9.
  const auto needed =
      static_cast<int64_t>(std::ceil(coverage_ / (1 - coverage_) * (1 - kRounding)));
  const std::string want = absl::StrFormat(
      "; a coverage of %g needs %d, as K of them can tell K / (K + 1) at most", coverage_, needed);
  if (method_ != SetMethod::kClassConditional) {
    if (thresholds_.empty() || thresholds_[0] < kInfinity) return {};
    return {absl::StrCat("every class is in every set: calibrated on ",
                         Conversations(conversations_), want)};
  }
  std::vector<std::string> always;
  for (size_t c = 0; c < thresholds_.size(); ++c) {
    if (thresholds_[c] < kInfinity) continue;
    always.push_back(absl::StrCat(OneLine(class_names[c]), " (", conversations_of_[c], ")"));
  }
  if (always.empty()) return {};
  const size_t shown = std::min(always.size(), kMostNames);
  const std::string more =
      shown < always.size() ? absl::StrCat(" and ", always.size() - shown, " more") : "";
  always.resize(shown);
  return {
      absl::StrCat("in every set, as too few conversations (in brackets) of the calibration "
                   "have the class: ",
                   absl::StrJoin(always, ", "), more, want)};
}

SetReport MeasureSets(const SetMaker& maker, const LabelledPredictions& predictions,
                      absl::Span<const std::string> class_names) {
  const size_t classes = class_names.size();
  Coverage all(predictions.lengths.size());
  std::vector<Coverage> of_class(classes, Coverage(predictions.lengths.size()));
  std::vector<int64_t> sizes(classes + 1);
  ForEachLabelled(predictions, classes, [&](size_t k, absl::Span<const double> row, size_t label) {
    const std::vector<int64_t> set = maker.SetOf(row);
    const bool covered =
        std::find(set.begin(), set.end(), static_cast<int64_t>(label)) != set.end();
    all.Add(k, covered, set.size());
    of_class[label].Add(k, covered, set.size());
    ++sizes[set.size()];
  });
  const auto total = static_cast<double>(all.utterances());
  SetReport report;
  report.set_method(NameOf(maker.method()));
  report.set_asked(maker.coverage());
  report.set_calibration_conversations(static_cast<int>(maker.conversations()));
  for (const std::string& remark : maker.Remarks(class_names)) report.add_remarks(remark);
  if (all.utterances() == 0) return report;
  report.set_conversation_coverage(all.OfConversations());
  if (all.conversations() > 1) {
    report.mutable_conversation_coverage_error()->set_value(all.Error());
  }
  report.set_coverage(all.OfUtterances());
  report.set_mean_size(all.MeanSize());
  report.set_share_empty(static_cast<double>(sizes[0]) / total);
  report.set_share_single(static_cast<double>(sizes[1]) / total);
  report.set_share_all(static_cast<double>(sizes[classes]) / total);
  for (size_t c = 0; c < classes; ++c) {
    const Coverage& coverage = of_class[c];
    ClassSets* one = report.add_classes();
    one->set_name(class_names[c]);
    one->set_utterances(static_cast<int>(coverage.utterances()));
    one->set_conversations(static_cast<int>(coverage.conversations()));
    if (maker.thresholds()[c] < kInfinity) {
      one->mutable_threshold()->set_value(maker.thresholds()[c]);
    }
    if (coverage.utterances() == 0) continue;
    one->mutable_coverage()->set_value(coverage.OfUtterances());
    one->mutable_conversation_coverage()->set_value(coverage.OfConversations());
    one->mutable_mean_size()->set_value(coverage.MeanSize());
  }
  return report;
}

double ConfidenceOf(absl::Span<const double> log_probs) {
  return Probability(*std::max_element(log_probs.begin(), log_probs.end()));
}

RiskCoveragePoint MeasureAbstaining(const LabelledPredictions& predictions, int64_t num_classes,
                                    double threshold) {
  int64_t answered = 0, right = 0, all = 0;
  ForEachLabelled(predictions, static_cast<size_t>(num_classes),
                  [&](size_t, absl::Span<const double> row, size_t label) {
                    ++all;
                    if (!IsAnswered(ConfidenceOf(row), threshold)) return;
                    ++answered;
                    const auto best = std::max_element(row.begin(), row.end()) - row.begin();
                    right += static_cast<size_t>(best) == label ? 1 : 0;
                  });
  RiskCoveragePoint point;
  point.set_threshold(threshold);
  point.set_answered(static_cast<int>(answered));
  point.set_share_answered(all == 0 ? 0 : static_cast<double>(answered) / static_cast<double>(all));
  if (answered > 0) {
    point.mutable_accuracy()->set_value(static_cast<double>(right) / static_cast<double>(answered));
  }
  return point;
}

RiskCoverage MeasureRiskCoverage(const LabelledPredictions& predictions, int64_t num_classes) {
  RiskCoverage curve;
  for (int i = 0; i < kThresholds; ++i) {
    *curve.add_points() =
        MeasureAbstaining(predictions, num_classes, static_cast<double>(i) / kThresholds);
  }
  return curve;
}

}  // namespace cmerc
