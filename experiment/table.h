// The results of an experiment as tables.
#ifndef CMERC_EXPERIMENT_TABLE_H_
#define CMERC_EXPERIMENT_TABLE_H_

#include <string>

#include "experiment/results.pb.h"

namespace cmerc {

// Markdown: a table of scores in percent (mean and standard deviation over seeds, 95 % interval of
// weighted F1, difference to the baseline with its p-value), one of the share of utterances surer
// of the true emotion without each source of evidence, and the runs that failed.
std::string FormatMarkdown(const ExperimentResults& results);

// Comma-separated values: a line per dataset, variant and number, with the columns dataset,
// variant, measure, seeds, mean, standard_deviation, low, high.
std::string FormatCsv(const ExperimentResults& results);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_TABLE_H_
