#include "calibration/held_out.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "calibration/acting.h"
#include "core/status.h"

namespace cmerc {

absl::StatusOr<HeldOut> FitHeldOut(const SplitPredictions& valid, const DatasetInfo& info,
                                   RunSummary* summary) {
  const int64_t num_classes = info.num_classes();
  const SplitPredictions labelled = OnlyLabelled(valid, num_classes);
  ASSIGN_OR_RETURN(std::vector<Remedy> remedies,
                   FitRemedies(labelled.log_probs, labelled.labels, num_classes));
  HeldOut held_out;
  ASSIGN_OR_RETURN(
      held_out.sets,
      CalibrateSets({labelled.log_probs, labelled.labels, labelled.lengths}, num_classes));
  for (Remedy& remedy : remedies) {
    if (!remedy.withheld.empty()) {
      summary->add_warnings(absl::StrCat("the remedy ", remedy.method, " is withheld: on the ",
                                         summary->valid().utterances(),
                                         " utterances of the validation split ", remedy.withheld));
      continue;
    }
    if (remedy.method == "temperature") held_out.temperature = remedy.parameters[0];
    held_out.remedies.push_back(std::move(remedy));
  }
  return held_out;
}

absl::Status ScoreHeldOut(const HeldOut& held_out, const SplitPredictions& test,
                          const DatasetInfo& info, double coverage, SplitReport* report) {
  for (const Remedy& remedy : held_out.remedies) {
    ASSIGN_OR_RETURN(*report->add_post_hoc(), ScoreRemedy(remedy, test, info));
  }
  for (const SetMethod method :
       {SetMethod::kSplit, SetMethod::kClassConditional, SetMethod::kAdaptive}) {
    *report->mutable_sets()->add_methods() =
        ScoreSets(SetMaker(held_out.sets, method, coverage), test, info);
  }
  return absl::OkStatus();
}

}  // namespace cmerc
