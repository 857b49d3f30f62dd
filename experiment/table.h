// The results of an experiment as tables.
#ifndef CMERC_EXPERIMENT_TABLE_H_
#define CMERC_EXPERIMENT_TABLE_H_

#include <string>

#include "experiment/results.pb.h"

namespace cmerc {

// Markdown: a table of scores in percent (protocol, mean and standard deviation over seeds, 95 %
// interval of weighted F1, difference to the baseline with p-values and Holm's correction over
// seeds and over conversations), what its columns mean and how many comparisons there are, what is
// not compared, a table of calibration (ECE in percent with its error and floor, NLL, Brier score,
// E-AURC, percent of utterances surer of the true emotion without each source of evidence; a row
// for the predictions as they are and one after temperature scaling), and the runs that failed.
std::string FormatMarkdown(const ExperimentResults& results);

// Comma-separated values: a line per dataset, variant and number, with the columns dataset,
// variant, measure, seeds, mean, standard_deviation, low, high, protocol. Measures that end in
// _scaled are after temperature scaling. The deviation and the interval of a single run, or of a
// p-value, are empty.
std::string FormatCsv(const ExperimentResults& results);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_TABLE_H_
