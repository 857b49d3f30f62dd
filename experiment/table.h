// The results of an experiment as tables to read.
#ifndef CMERC_EXPERIMENT_TABLE_H_
#define CMERC_EXPERIMENT_TABLE_H_

#include <string>

#include "experiment/results.pb.h"

namespace cmerc {

// Markdown: a table of scores in percent (protocol, mean and standard deviation over seeds, 95 %
// interval of weighted F1, difference to the baseline with p-values and Holm's correction over
// seeds and over conversations), what its columns mean, how many comparisons there are, the
// protocols and what the runs were made with, what is not compared, F1 of each class, a table of
// calibration (ECE in percent with its error and floor, NLL, Brier score, E-AURC, percent of
// utterances surer of the true emotion without each source of evidence; a row for the predictions
// as they are and one after temperature scaling), its differences, and the runs that failed.
std::string FormatMarkdown(const ExperimentResults& results);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_TABLE_H_
