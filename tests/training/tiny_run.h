// A tiny M3Net on a few generated conversations, for tests of whole runs.
#ifndef CMERC_TESTS_TRAINING_TINY_RUN_H_
#define CMERC_TESTS_TRAINING_TINY_RUN_H_

#include <string>

#include "calibration/prepared_data.h"
#include "config/run.pb.h"

namespace cmerc {

// Four epochs of batches of 2, dropout in place.
extern const char kModel[];
// What a config may say beside data and model: NLL; the ranking loss; a third of the six training
// conversations more in every epoch: 2, 4, 6, 6.
extern const char kTask[];
extern const char kRanking[];
extern const char kCurriculum[];

// The data, `model` and `text`.
RunConfig Config(const std::string& text, const std::string& model = kModel);

// NLL and the ranking loss.
RunConfig Calibrated();

PreparedData Prepare(const RunConfig& config);

}  // namespace cmerc

#endif  // CMERC_TESTS_TRAINING_TINY_RUN_H_
