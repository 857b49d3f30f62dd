// Runs that are stopped and go on, for tests of what they leave.
#ifndef CMERC_TESTS_TRAINING_INTERRUPTED_RUN_H_
#define CMERC_TESTS_TRAINING_INTERRUPTED_RUN_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "calibration/prepared_data.h"
#include "config/run.pb.h"

namespace cmerc {

// Trains in `folder`, and asks it to stop before step `steps`, counted from 0 over both models;
// below 0: never. What Train() says.
absl::Status RunTraining(const RunConfig& config, const PreparedData& data,
                         const std::string& folder, bool resume, int steps = -1,
                         bool tensorboard = false);

// What a folder holds, by path: every file but those of times.
std::map<std::string, std::string> Results(const std::string& folder);

// Stops a run once at each place, and one after every second step: all of them must leave the bytes
// of the run that is not stopped.
void ExpectTheSameBits(const RunConfig& config, const PreparedData& data);
void ExpectTheSameBits(const RunConfig& config);

}  // namespace cmerc

#endif  // CMERC_TESTS_TRAINING_INTERRUPTED_RUN_H_
