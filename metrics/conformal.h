// Prediction sets: for each utterance the classes that it may be, so many that the true one is
// among them as often as is asked for, whatever the model; and what is left when it may decline.
//
// p_c is the predicted probability of class c, and the score of a class says how little it fits:
//   split              1 - p_c (least ambiguous sets: Sadinle, Lei and Wasserman, JASA 2019)
//   class_conditional  1 - p_c, with a threshold for each class (Mondrian: Vovk, ACML 2012)
//   adaptive           sum of p_k over the classes with p_k > p_c (Romano, Sesia and Candes,
//                      NeurIPS 2020, without randomization, u = 0: nothing is drawn, and the most
//                      probable class, whose score is 0, is in every set)
// A set has the classes whose score is at most a threshold, which is calibrated on labelled
// conversations that the model was not trained on. Utterances of one conversation are not
// independent, so the unit is the conversation (Lee, Barber and Willett, Distribution-free
// inference with hierarchical data, 2023): of K conversations with n_k labelled utterances each
// score of the true class has weight 1 / ((K + 1) n_k), infinity has 1 / (K + 1), and the threshold
// for a coverage q is the smallest score at or below which lies at least q of the weight. Of
// class_conditional, K and n_k count the utterances of one class and the conversations that have
// any.
//
// What that promises: where calibration and new conversations are exchangeable, and the model has
// not seen the former, a random utterance of a random new conversation has the true class in its
// set with a probability of at least q, and at most q + 2 / (K + 1) where scores do not tie; of
// class_conditional, a random utterance of the class of a random new conversation that has it. It
// is a mean over conversations: not for each conversation, nor for each class unless
// class_conditional, nor over all utterances of a corpus, where long conversations count more.
// Where q > K / (K + 1), K conversations are too few to tell, and the threshold is infinite: every
// class is in.
#ifndef CMERC_METRICS_CONFORMAL_H_
#define CMERC_METRICS_CONFORMAL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "metrics/conformal.pb.h"
#include "metrics/report.pb.h"

namespace cmerc {

enum class SetMethod { kSplit, kClassConditional, kAdaptive };

// "split", "class_conditional", "adaptive".
const std::vector<std::string>& SetMethodNames();
const std::string& NameOf(SetMethod method);

// Conversations whose utterances have predictions and labels.
struct LabelledPredictions {
  absl::Span<const double> log_probs;  // [N * C], row-major, natural logarithm
  absl::Span<const int64_t> labels;    // [N]; below 0: the utterance has none and is left out
  absl::Span<const int64_t> lengths;   // [K], utterances of each conversation, with sum N
};

// The scores that thresholds are taken from. InvalidArgument: num_classes < 1, sizes that do not
// fit, a label that is no class, a log-probability that is not a number.
absl::StatusOr<SetCalibration> CalibrateSets(const LabelledPredictions& predictions,
                                             int64_t num_classes);

// InvalidArgument: it is none that CalibrateSets() makes for so many classes; the message says what
// is off.
absl::Status CheckSetCalibration(const SetCalibration& calibration, int64_t num_classes);

// Makes the sets of one method for one coverage.
class SetMaker {
 public:
  // `calibration` is one that CheckSetCalibration() approves of, 0 < coverage < 1.
  SetMaker(const SetCalibration& calibration, SetMethod method, double coverage);

  SetMethod method() const { return method_; }
  double coverage() const { return coverage_; }
  // Conversations that the thresholds are from, over all classes.
  int64_t conversations() const { return conversations_; }
  // [C]: the largest score of a class that is in; infinity: it always is.
  const std::vector<double>& thresholds() const { return thresholds_; }

  // The classes in the set of a row of C log-probabilities, most probable first and of equally
  // probable ones in their order.
  std::vector<int64_t> SetOf(absl::Span<const double> log_probs) const;

  // Why classes are in every set: a sentence each; empty where none is.
  std::vector<std::string> Remarks(absl::Span<const std::string> class_names) const;

 private:
  SetMethod method_;
  double coverage_;
  int64_t conversations_;
  std::vector<int64_t> conversations_of_;  // [C], that each threshold is from
  std::vector<double> thresholds_;         // [C]
};

// What the sets of labelled utterances hold. `predictions` are as CalibrateSets() wants them;
// without any label, shares are unset. `class_names` has C.
SetReport MeasureSets(const SetMaker& maker, const LabelledPredictions& predictions,
                      absl::Span<const std::string> class_names);

// What is answered at the thresholds of RiskCoverage, of the labelled utterances: those whose
// largest probability is not below the threshold. Fills `points` alone.
RiskCoverage MeasureRiskCoverage(const LabelledPredictions& predictions, int64_t num_classes);

// The same at one threshold.
RiskCoveragePoint MeasureAbstaining(const LabelledPredictions& predictions, int64_t num_classes,
                                    double threshold);

// The largest probability of a row of log-probabilities, and whether an utterance with it is
// answered where those below `threshold` are not.
double ConfidenceOf(absl::Span<const double> log_probs);
inline bool IsAnswered(double confidence, double threshold) { return confidence >= threshold; }

}  // namespace cmerc

#endif  // CMERC_METRICS_CONFORMAL_H_
