// What the tables of an experiment call things.
#ifndef CMERC_EXPERIMENT_LABELS_H_
#define CMERC_EXPERIMENT_LABELS_H_

#include <string>
#include <vector>

#include "experiment/results.pb.h"
#include "metrics/report.pb.h"

namespace cmerc {

// What a dataset or a variant is called in files for other programs where the plan names none:
// readers such as pandas take an empty cell for a missing value.
inline constexpr char kBaseName[] = "base";

// `name`, or kBaseName where it is empty.
std::string ShownVariant(const std::string& name);

// "HELD_OUT" of "HELD_OUT (the validation split selects the epoch)".
std::string ShortProtocol(const std::string& protocol);

// Whether both have the same classes in the same order.
bool SameClasses(const SplitReport& one, const SplitReport& other);

// The names of the views of all rows, each once, in the order in which they come first.
std::vector<std::string> ViewNames(const ExperimentResults& results);

// The share of `row` for a view, as predicted or, `scaled`, after temperature scaling; null where
// it was not measured.
const Statistic* ShareSurerWithout(const ExperimentRow& row, const std::string& view, bool scaled);

// "surer without text" of "share_surer_without_text", "ECE" of "ece", and so on.
std::string ShownMeasure(const std::string& measure);

// "plain, views x 0.65": what the `scaled_baseline` of a row is.
std::string ScaledBaselineName(const ExperimentRow& row);

// What the columns and numbers of an experiment's tables mean, a sentence or two each: what ± and
// the intervals are, the tests and the sizes of their families, the protocols, and what the runs
// were made with.
std::vector<std::string> Legend(const ExperimentResults& results);

// The sizes of the families of the tests of calibration, in a sentence; "" without such tests.
std::string CalibrationFamilies(const ExperimentResults& results);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_LABELS_H_
