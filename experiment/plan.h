// An experiment: the runs that a plan asks for, each with its config and its identity.
#ifndef CMERC_EXPERIMENT_PLAN_H_
#define CMERC_EXPERIMENT_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "config/run.pb.h"
#include "experiment/plan.pb.h"

namespace cmerc {

struct PlannedRun {
  std::string dataset;  // "" when the plan names none
  std::string variant;  // "" when the plan names none
  uint64_t seed;
  RunConfig config;
  std::string identity;  // two runs of the same identity need not be run twice

  // "DATASET/VARIANT/seed-N": its folder below the experiment's.
  std::string path() const;
};

// Reads the text-format ExperimentPlan in the file `path`. InvalidArgument names everything that is
// wrong with the plan itself at once; what is wrong with the file is said as by LoadConfig().
// Former names of fields are named in `warnings`, where given.
absl::StatusOr<ExperimentPlan> LoadPlan(const std::string& path,
                                        std::vector<std::string>* warnings = nullptr);

// Every run of the plan, all of the first seed first, so that an early look at the results shows
// every variant. A run's identity: `version`, the config with every default, and for each string of
// it that names a file that file's size and a 64-bit FNV-1a of its bytes; a file is read once.
// InvalidArgument: a config that is not valid, with the run that it belongs to. NotFound: a file
// that cannot be read.
absl::StatusOr<std::vector<PlannedRun>> RunsOf(const ExperimentPlan& plan,
                                               const std::string& version);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_PLAN_H_
