// Options that a search draws: what a plan says of them, and their values in each trial.
#ifndef CMERC_EXPERIMENT_DRAWS_H_
#define CMERC_EXPERIMENT_DRAWS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "experiment/plan.h"
#include "experiment/plan.pb.h"

namespace cmerc {

// A draw of a plan and where it stands there: "search.draw[0]", "backbones[1].draw[0]".
struct PlacedDraw {
  std::string place;
  Draw draw;
};

// Adds what is wrong with the search of `plan` and with what is drawn, as far as that can be told
// without the config of a run.
void CheckDraws(const ExperimentPlan& plan, std::vector<std::string>* problems);

// What is drawn for a variant on a dataset ("" where the plan names none), in the order of the
// search, the dataset, the backbone and the variant; of two with a path in common the later one.
std::vector<PlacedDraw> DrawsOf(const ExperimentPlan& plan, const std::string& dataset,
                                const PlannedVariant& variant);

// The value of a valid `draw` in a trial, as behind --set=PATH=. It follows from `seed`, `trial`
// and the first path alone. `whole`: whole numbers are drawn.
std::string DrawnValue(const Draw& draw, bool whole, uint64_t seed, int trial);

// The ends of the interval of a valid `draw`, or all that it chooses from.
std::vector<std::string> ExtremeValues(const Draw& draw);

// "PATH=VALUE" for every path of `draw`.
std::vector<std::string> Assignments(const Draw& draw, const std::string& value);

}  // namespace cmerc

#endif  // CMERC_EXPERIMENT_DRAWS_H_
