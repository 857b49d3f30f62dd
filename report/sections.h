// The parts of the page, each finished markup; empty where a run has nothing to show.
#ifndef CMERC_REPORT_SECTIONS_H_
#define CMERC_REPORT_SECTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "report/axis.h"
#include "report/markup.h"
#include "report/run.h"

namespace cmerc::report {

// Begins a page, as far as its <main>; `navigation` is finished markup below the title.
void OpenPage(const std::string& title, Markup* html, const std::string& navigation = "");

// Protocol, seed, backbone, selected epoch, versions, and the command that repeats the run.
std::string FormatIdentity(const TrainingRun& run);
// Loss terms and scores over epochs, the uncalibrated model beside them.
std::string FormatLearning(const TrainingRun& run);
// Scores per class and the confusion matrix, on the test split.
std::string FormatScores(const RunSummary& summary);
// Reliability diagrams in full, per view and after post-hoc remedies, and their measures.
std::string FormatReliability(const RunSummary& summary);
// Prediction sets of the test split, and what is answered where uncertain utterances are not.
std::string FormatActing(const RunSummary& summary);
// How confidence changes when a source of evidence is removed.
std::string FormatViews(const RunSummary& summary);
// Which conversations from which epoch on, against their difficulty.
std::string FormatCurriculum(const TrainingRun& run);
// How many utterances of each class a split has.
std::string FormatClassBalance(const RunSummary& summary);
// Seconds per epoch and the slowest steps.
std::string FormatTiming(const TrainingRun& run);

// A comparison of all runs, of which there are at least two: a table and small multiples.
std::string FormatComparison(const std::vector<TrainingRun>& runs);

// The weighted F1 that selects the epoch (on valid, or on test under the OFFICIAL protocol) and the
// weighted F1 on the training conversations, over epochs; `y_axis` gives every run the same axis.
std::string FormatSelection(const TrainingRun& run, const std::string& caption,
                            const std::optional<Axis>& y_axis);

// A list of remarks under a heading; nothing without remarks.
std::string FormatRemarks(const std::vector<std::string>& remarks);

// The diagram of measured confidences. `calibration` has bins.
std::string FormatReliabilityOf(const std::string& caption, const CalibrationReport& calibration);

// "5.0 % ± 0.8 % (floor 2.8 %)": the ECE, its standard error over conversations, and what a
// perfectly calibrated model would show, as far as they are known; "-" without bins.
std::string FormatEce(const CalibrationReport& calibration);

// "cmerc.NllOptions" -> "Nll".
std::string PluginName(const std::string& options);

}  // namespace cmerc::report

#endif  // CMERC_REPORT_SECTIONS_H_
