// Reports as text for people.
#ifndef CMERC_METRICS_TEXT_REPORT_H_
#define CMERC_METRICS_TEXT_REPORT_H_

#include <string>

#include "metrics/report.pb.h"

namespace cmerc {

// What sklearn.metrics.classification_report(labels, predictions, digits=4, zero_division=0)
// prints, with class names: one row per class that occurs among the labels or the predictions.
// Then F1 without the classes of f1_without, where it is set, the confusion matrix of all classes
// and a warning for each class that is never predicted; of more classes than kMostClassesOfMatrix,
// the largest confusions and one warning. `report` is one that ClassificationReport() made. Ends
// with a newline.
std::string FormatSplitReport(const SplitReport& report);

// ECE with its standard error and its floor, NLL, Brier score and E-AURC (metrics/calibration.h) of
// the predictions as they are and after each remedy of post_hoc, a row each, "-" for what is unset,
// and what the columns mean. "" where the report has none. Ends with a newline.
std::string FormatCalibration(const SplitReport& report);

// The test scores (validation scores, where there is no test split) of a calibrated run beside
// those of the same run without calibration: weighted F1, macro F1, accuracy, ECE with its error
// and floor, and NLL, these also after temperature scaling, per view the share of utterances surer
// without that evidence, and means over the views: that share among right predictions, VRR, and
// weighted F1 and ECE of the views themselves. "-" for what a run lacks; a row that both lack is
// left out. Then the warnings of the uncalibrated run. Ends with a newline.
std::string FormatComparison(const RunSummary& calibrated, const RunSummary& uncalibrated);

}  // namespace cmerc

#endif  // CMERC_METRICS_TEXT_REPORT_H_
