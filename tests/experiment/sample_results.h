// Results of an experiment, made by hand.
#ifndef CMERC_TESTS_EXPERIMENT_SAMPLE_RESULTS_H_
#define CMERC_TESTS_EXPERIMENT_SAMPLE_RESULTS_H_

#include "experiment/results.pb.h"

namespace cmerc {

// One row, calibrated, of two seeds, compared with "plain" in every way but a share over
// conversations; a remark and a run that failed.
ExperimentResults SampleResults();

}  // namespace cmerc

#endif  // CMERC_TESTS_EXPERIMENT_SAMPLE_RESULTS_H_
