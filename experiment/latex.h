// The results of an experiment for a paper.
#ifndef CMERC_EXPERIMENT_LATEX_H_
#define CMERC_EXPERIMENT_LATEX_H_

#include <string>

#include "experiment/results.pb.h"

namespace cmerc {

// LaTeX to \input{}, with the package booktabs: a table of scores and of their differences, one of
// F1 for each list of classes, one of calibration and one of its differences, each a `table` of its
// own with a caption that says what its numbers are. Names are escaped, and other characters than
// ASCII stay UTF-8.
std::string FormatLatex(const ExperimentResults& results);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_LATEX_H_
