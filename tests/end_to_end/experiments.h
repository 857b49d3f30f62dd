// Small experiments, run as a user does.
#ifndef CMERC_TESTS_END_TO_END_EXPERIMENTS_H_
#define CMERC_TESTS_END_TO_END_EXPERIMENTS_H_

#include <string>
#include <vector>

#include "experiment/results.pb.h"
#include "tests/bin/cmerc_process.h"

namespace cmerc {

// A plan with TinyConfig() as its base.
std::string Plan(const std::string& more);

// Two variants, the second with its uncalibrated model, and two seeds; as much to learn from and to
// validate on as it takes to tell a temperature.
std::string FourRuns();

struct Ran {
  std::string folder;
  Outcome outcome;
  ExperimentResults results;  // empty where there is no results.json
};

// `cmerc experiment` of a plan in `folder`, into out/tiny there, with more flags.
Ran RunPlan(const std::string& folder, const std::string& plan,
            const std::vector<std::string>& more = {});

}  // namespace cmerc

#endif  // CMERC_TESTS_END_TO_END_EXPERIMENTS_H_
