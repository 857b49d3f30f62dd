// An experiment: the runs that a plan asks for, each with its config and its identity.
#ifndef CMERC_EXPERIMENT_PLAN_H_
#define CMERC_EXPERIMENT_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "config/run.pb.h"
#include "experiment/plan.pb.h"

namespace cmerc {

// A variant of a plan, of one of its backbones where it has some.
struct PlannedVariant {
  std::string name;               // "" when the plan names none
  std::string baseline;           // "" where it has none
  std::vector<RunConfig> layers;  // what it sets, each over the one before
  std::string backbone = "";      // "" when the plan names none
  std::string own_name = "";      // without that of the backbone
};

// The variants of a plan in order: where it has backbones, all of the first one first.
std::vector<PlannedVariant> VariantsOf(const ExperimentPlan& plan);

struct PlannedRun {
  std::string dataset;  // "" when the plan names none
  std::string variant;  // "" when the plan names none
  uint64_t seed;
  RunConfig config;
  std::string identity;  // two runs of the same identity need not be run twice
  // The part that it tests on, where data.test_folds is above 0.
  std::optional<int> test_fold = {};
  // The trial of a search that it belongs to.
  std::optional<int> trial = {};
  // Unset: it is trained to its end. Else it is to stop after so many epochs, before any split but
  // the validation split is looked at.
  std::optional<int> stop_after = {};

  // "DATASET/VARIANT/seed-N", or "DATASET/VARIANT/seed-N-test-K", with "trial-T/" before the seed
  // for a trial: its folder below the experiment's.
  std::string path() const;
};

// A run that has failed.
struct FailedRun {
  std::string path;  // PlannedRun::path()
  std::string why;   // "failed with exit status 1: the loss is not finite"

  // As users read it: "PATH: WHY".
  std::string text() const { return path + ": " + why; }
};

// Reads the text-format ExperimentPlan in the file `path`. InvalidArgument names everything that is
// wrong with the plan itself at once; what is wrong with the file is said as by LoadConfig().
// Former names of fields are named in `warnings`, where given.
absl::StatusOr<ExperimentPlan> LoadPlan(const std::string& path,
                                        std::vector<std::string>* warnings = nullptr);

// What of a plan the command line replaces.
struct PlanChanges {
  std::vector<std::string> sets;     // merged over every run's config, as --set of `cmerc train`
  std::optional<std::string> seeds;  // in place of the plan's: "1,2,3", "1-5" or both
  std::optional<std::string> jobs;   // in place of parallel_runs
};

// Puts seeds and jobs into the plan. InvalidArgument: they are not what is wanted, each said as the
// flag --seeds or --jobs.
absl::Status ChangePlan(const PlanChanges& changes, ExperimentPlan* plan);

// Every run of the plan, all of the first seed first, so that an early look at the results shows
// every variant. Where data.test_folds is above 0, there is a run for each part. A run's identity:
// `version`, the config with every default, and for each string of it that names a file that file's
// size and a 64-bit FNV-1a of its bytes; a file is read once. `sets` are merged over the config of
// every run before its seed. InvalidArgument: a config that is not valid, with the run that it
// belongs to, one of `sets` gives what the seeds give, or data.test_fold is set. NotFound: a file
// that cannot be read. `warnings` are those of `sets`. `over` is merged over the config of every
// run before `sets` are.
absl::StatusOr<std::vector<PlannedRun>> RunsOf(const ExperimentPlan& plan,
                                               const std::string& version,
                                               const std::vector<std::string>& sets = {},
                                               std::vector<std::string>* warnings = nullptr,
                                               const RunConfig& over = RunConfig());

// Sets the identities of runs whose configs have changed; a file is read once. NotFound: a file
// that cannot be read.
absl::Status SetIdentities(const std::string& version, const std::vector<PlannedRun*>& runs);

// The plan in text format, for the folder of the experiment, with how it was changed in a comment.
std::string PlanText(const ExperimentPlan& plan, const std::string& version,
                     const std::vector<std::string>& sets);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_PLAN_H_
