// Small experiments, run as a user does.
#ifndef CMERC_TESTS_END_TO_END_EXPERIMENTS_H_
#define CMERC_TESTS_END_TO_END_EXPERIMENTS_H_

#include <map>
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

// Two data sets, "one" and "two", two variants, "plain" and "long", which trains for so many
// epochs, and seeds 1, 2, ... to `seeds`.
std::string TwoByTwo(int seeds, int epochs);

struct Ran {
  std::string folder;
  Outcome outcome;
  ExperimentResults results;  // empty where there is no results.json
};

// `cmerc experiment` of a plan in `folder`, into out/tiny there, with more flags.
Ran RunPlan(const std::string& folder, const std::string& plan,
            const std::vector<std::string>& more = {});

// Path -> contents of what an experiment in `folder` left in out/tiny, but for times, the wording
// of logs, locks of runs that were killed, and the plan, which has --jobs.
std::map<std::string, std::string> ResultFiles(const std::string& folder);

}  // namespace cmerc

#endif  // CMERC_TESTS_END_TO_END_EXPERIMENTS_H_
