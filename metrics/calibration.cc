#include "metrics/calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/status.h"
#include "metrics/ece_noise.h"

namespace cmerc {
namespace {

// Float32 rows of a few hundred classes miss 1 by less than 1e-4.
constexpr double kRowTolerance = 1e-3;

// Sums over what a bin holds.
struct Bin {
  int64_t count = 0;
  double confidence = 0;
  double right = 0;

  void Add(double confidence_of_one, double right_of_one) {
    ++count;
    confidence += confidence_of_one;
    right += right_of_one;
  }
  // count * |accuracy - confidence|
  double error() const { return std::abs(right - confidence); }
  double mean(double sum) const { return count == 0 ? 0 : sum / static_cast<double>(count); }
};
using Bins = std::array<Bin, kReliabilityBins>;

double ExpectedError(const Bins& bins, int64_t n) {
  double sum = 0;
  for (const Bin& bin : bins) sum += bin.error();
  return sum / static_cast<double>(n);
}

// The lengths of conversations are those of the utterances, or there are none.
absl::Status CheckLengths(absl::Span<const int64_t> lengths, size_t utterances) {
  if (lengths.empty()) return absl::OkStatus();
  int64_t sum = 0;
  bool negative = false;
  for (const int64_t length : lengths) {
    negative = negative || length < 0;
    sum += length;
  }
  if (!negative && sum == static_cast<int64_t>(utterances)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("calibration: conversations of ", sum,
                                                 " utterances, want ", utterances,
                                                 " as there are labels, and none below 0"));
}

absl::Status Check(absl::Span<const double> log_probs, absl::Span<const int64_t> labels,
                   int64_t num_classes) {
  if (num_classes < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("calibration: ", num_classes, " classes, want at least 1"));
  }
  if (labels.empty()) {
    return absl::InvalidArgumentError(
        "calibration: 0 utterances, want at least 1; check that the split is not empty");
  }
  if (labels.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    return absl::InvalidArgumentError(absl::StrCat("calibration: ", labels.size(),
                                                   " utterances, want at most ",
                                                   std::numeric_limits<int32_t>::max()));
  }
  const auto classes = static_cast<size_t>(num_classes);
  if (log_probs.size() % classes != 0 || log_probs.size() / classes != labels.size()) {
    return absl::InvalidArgumentError(absl::StrCat("calibration: ", log_probs.size(),
                                                   " log-probabilities, want ", labels.size(),
                                                   " x ", num_classes, " (utterances x classes)"));
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= num_classes) {
      return absl::InvalidArgumentError(absl::StrCat("calibration: labels[", i, "] = ", labels[i],
                                                     ", want 0 <= class < ", num_classes,
                                                     " (the number of classes)"));
    }
    double sum = 0;
    for (size_t c = 0; c < classes; ++c) {
      const double log_prob = log_probs[i * classes + c];
      if (!std::isfinite(log_prob)) {
        return absl::InvalidArgumentError(absl::StrCat("calibration: log_probs[", i, ", ", c,
                                                       "] = ", log_prob,
                                                       ", want a finite log-probability"));
      }
      sum += std::exp(log_prob);
    }
    if (!(std::abs(sum - 1) <= kRowTolerance)) {
      return absl::InvalidArgumentError(
          absl::StrCat("calibration: the probabilities of row ", i, " of log_probs sum to ", sum,
                       ", want 1; are these logits? take their log_softmax"));
    }
  }
  return absl::OkStatus();
}

struct Ranked {
  double confidence;
  double right;  // share that is predicted right among the equally confident
};

// Every utterance, by rising confidence.
std::vector<Ranked> Rank(const std::vector<double>& confidences, const std::vector<bool>& right) {
  std::vector<size_t> order(confidences.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return confidences[a] != confidences[b] ? confidences[a] < confidences[b] : a < b;
  });
  std::vector<Ranked> ranked;
  ranked.reserve(order.size());
  for (size_t begin = 0; begin < order.size();) {
    const double confidence = confidences[order[begin]];
    size_t end = begin;
    int64_t right_of_equals = 0;
    for (; end < order.size() && confidences[order[end]] == confidence; ++end) {
      right_of_equals += right[order[end]] ? 1 : 0;
    }
    const double share = static_cast<double>(right_of_equals) / static_cast<double>(end - begin);
    for (; begin < end; ++begin) ranked.push_back({confidence, share});
  }
  return ranked;
}

double AdaptiveEce(const std::vector<Ranked>& ranked) {
  const auto n = static_cast<int64_t>(ranked.size());
  Bins bins;
  for (int64_t k = 0; k < kReliabilityBins; ++k) {
    for (int64_t i = k * n / kReliabilityBins; i < (k + 1) * n / kReliabilityBins; ++i) {
      bins[k].Add(ranked[i].confidence, ranked[i].right);
    }
  }
  return ExpectedError(bins, n);
}

double Aurc(const std::vector<Ranked>& ranked) {
  double wrong = 0, sum = 0, covered = 0;
  for (auto it = ranked.rbegin(); it != ranked.rend(); ++it) {
    wrong += 1 - it->right;
    covered += 1;
    sum += wrong / covered;
  }
  return sum / covered;
}

// The area that is left when every wrong prediction is less confident than every right one.
double PerfectAurc(double error_rate) {
  if (error_rate >= 1) return 1;  // (1 - r) ln(1 - r) -> 0
  return error_rate + (1 - error_rate) * std::log1p(-error_rate);
}

}  // namespace

// Compares with the edges themselves: 15 * p rounds to the wrong side of some.
int ReliabilityBinOf(double p) {
  int k = 0;
  while (k + 1 < kReliabilityBins && p > static_cast<double>(k + 1) / kReliabilityBins) ++k;
  return k;
}

std::vector<int64_t> PredictedClasses(absl::Span<const double> log_probs, int64_t num_classes) {
  std::vector<int64_t> predicted;
  for (size_t row = 0; row < log_probs.size(); row += static_cast<size_t>(num_classes)) {
    const auto begin = log_probs.begin() + static_cast<std::ptrdiff_t>(row);
    predicted.push_back(std::max_element(begin, begin + num_classes) - begin);
  }
  return predicted;
}

absl::StatusOr<CalibrationReport> MeasureCalibration(absl::Span<const double> log_probs,
                                                     absl::Span<const int64_t> labels,
                                                     int64_t num_classes,
                                                     absl::Span<const int64_t> lengths) {
  RETURN_IF_ERROR(Check(log_probs, labels, num_classes));
  RETURN_IF_ERROR(CheckLengths(lengths, labels.size()));
  const auto n = static_cast<int64_t>(labels.size());
  const std::vector<int64_t> predicted = PredictedClasses(log_probs, num_classes);

  std::vector<double> confidences(labels.size());
  std::vector<bool> right(labels.size());
  std::vector<BinnedPrediction> binned;
  binned.reserve(labels.size());
  Bins bins;
  std::vector<Bins> class_bins(static_cast<size_t>(num_classes));
  double brier = 0, nll = 0;
  int64_t wrong = 0;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t c = 0; c < num_classes; ++c) {
      // Rounding may have left a log-probability a little above 0.
      const double p = std::min(1.0, std::exp(log_probs[i * num_classes + c]));
      const double y = labels[i] == c ? 1 : 0;
      class_bins[c][ReliabilityBinOf(p)].Add(p, y);
      brier += (p - y) * (p - y);
      if (c == predicted[i]) confidences[i] = p;
    }
    nll -= log_probs[i * num_classes + labels[i]];
    right[i] = predicted[i] == labels[i];
    wrong += right[i] ? 0 : 1;
    binned.push_back({ReliabilityBinOf(confidences[i]), confidences[i], right[i]});
    bins[binned.back().bin].Add(confidences[i], right[i] ? 1 : 0);
  }

  CalibrationReport report;
  const auto total = static_cast<double>(n);
  report.set_ece(ExpectedError(bins, n));
  if (!lengths.empty()) report.mutable_ece_floor()->set_value(EceFloor(binned));
  if (const auto error = EceError(binned, lengths)) report.mutable_ece_error()->set_value(*error);
  const std::vector<Ranked> ranked = Rank(confidences, right);
  report.set_adaptive_ece(AdaptiveEce(ranked));
  double classwise = 0;
  for (const Bins& one : class_bins) classwise += ExpectedError(one, n);
  report.set_classwise_ece(classwise / static_cast<double>(num_classes));
  double mce = 0;
  for (const Bin& bin : bins) {
    mce = std::max(mce, bin.mean(bin.error()));
    ReliabilityBin* entry = report.add_bins();
    entry->set_utterances(static_cast<int32_t>(bin.count));
    entry->set_confidence(bin.mean(bin.confidence));
    entry->set_accuracy(bin.mean(bin.right));
  }
  report.set_mce(mce);
  report.set_brier(brier / total);
  report.set_nll(nll / total);
  report.set_aurc(Aurc(ranked));
  // The mean over k is never below the integral that it approximates, but for rounding.
  report.set_e_aurc(std::max(0.0, report.aurc() - PerfectAurc(static_cast<double>(wrong) / total)));
  return report;
}

}  // namespace cmerc
